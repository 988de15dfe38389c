"""Names and durable writing of the files of a study folder, whatever they contain."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gmsearch.errors import StudyError
from gmsearch.records import WorkRecord

LEDGER = "trials.jsonl"
SPOOL = "spool"
HISTORY = "history"
WEIGHTS = "weights"
SPACE = "space.yaml"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def check_name(name: object, what: str = "study") -> str:
    """Return `name` if it is safe as one part of a path.

    Raises:
        StudyError: where it is anything but letters, digits, `_`, `-` and `.`, starts with `.` or
            `-`, is empty, or is longer than 100 characters.
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise StudyError(
            f"{what} name {name!r} cannot be a file name; use letters, digits, '_', '-' and '.', "
            "starting with a letter or digit, at most 100"
        )
    return name


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure of the file system into a StudyError that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "give the folder write permission and free space, or run elsewhere"
        ) from error


def json_line(record: Mapping[str, Any]) -> bytes:
    """Return one line of JSON; ValueError where a number is not finite."""
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte and wait until the storage has them."""
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make names created or renamed in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> Path:
    """Write `data` to `path` atomically: a reader sees all of it or the previous content.

    Creates the folder. Raises StudyError where the file system refuses.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unlike tempfile's, a file that others may read as the umask admits.
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    return path


def spool(folder: Path, record: WorkRecord) -> Path:
    """Leave the record of a plan for the driver; once this returns, it survives any kill.

    The file is `spool/<key>.json`, `spool/timing-<key>.json` for a timing, or
    `spool/measure-<key>-<request>.json` for a re-evaluation.
    """
    for part in (record.key, *filter(None, (record.request,))):
        check_name(part, "record")
    return write_atomic(folder / SPOOL / f"{record.spool_name}.json", json_line(record.to_json()))


def weights(folder: Path, key: str) -> Path:
    """Return where the final weights of a trial are kept."""
    return folder / WEIGHTS / f"{check_name(key, 'record')}.safetensors"


def write_history(folder: Path, key: str, history: Mapping[str, Any]) -> Path:
    """Keep the curves of one trial in `history/<key>.json`; a later attempt replaces them."""
    return write_atomic(_history_path(folder, key), json_line(history))


def read_history(folder: Path, key: str) -> dict[str, Any] | None:
    """Return the curves of one trial; None if it has none.

    Raises:
        StudyError: where the file is damaged.
    """
    path = _history_path(folder, key)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return parse(data, str(path))


def parse(data: bytes, place: str) -> dict[str, Any]:
    """Return the JSON object in `data`; StudyError naming `place` where there is none."""
    try:
        tree = json.loads(data.decode())
    except ValueError as error:
        raise damaged(place, str(error)) from error
    if not isinstance(tree, dict):
        raise damaged(place, f"expected a JSON object, got a {type(tree).__name__}")
    return tree


def damaged(place: str, reason: str) -> StudyError:
    """Return the error for damaged content, with the remedy."""
    return StudyError(f"{place}: damaged: {reason}; restore it from a backup or remove it")


def _history_path(folder: Path, key: str) -> Path:
    return folder / HISTORY / f"{check_name(key, 'record')}.json"
