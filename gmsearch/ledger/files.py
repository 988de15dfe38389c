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

from gmsearch.errors import StorageError, StudyError
from gmsearch.ledger.parsing import damaged, parse, read_bounded
from gmsearch.records import WorkRecord

LEDGER = "trials.jsonl"
SPOOL = "spool"
HISTORY = "history"
WEIGHTS = "weights"
CHECKPOINTS = "checkpoints"
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
    """Turn a failure of the file system into a StorageError that names path and remedy."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "give the folder write permission and free space, or run elsewhere"
        ) from error


@contextlib.contextmanager
def given() -> Iterator[None]:
    """Turn a StorageError into a StudyError: nothing has run, so the folder given is at fault."""
    try:
        yield
    except StorageError as error:
        raise StudyError(str(error)) from error


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

    Creates the last folder of `path`, but not those above: what a study folder that was removed
    still receives is refused. Raises StorageError where the file system refuses.
    """
    with writing(path):
        path.parent.mkdir(exist_ok=True)
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
        data = read_bounded(path)
    except FileNotFoundError:
        return None
    history = parse(data, str(path))
    for name, column in history.items():
        if not (isinstance(column, str) if name == "split" else _is_column(column)):
            raise damaged(str(path), f"{name}: expected a list of numbers")
    if not {"epoch", "split"} <= set(history):
        raise damaged(str(path), "expected the keys epoch and split")
    return history


def _is_column(column: object) -> bool:
    return isinstance(column, list) and all(
        value is None or isinstance(value, (int, float)) for value in column
    )


def _history_path(folder: Path, key: str) -> Path:
    return folder / HISTORY / f"{check_name(key, 'record')}.json"
