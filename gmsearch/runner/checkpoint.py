"""Checkpoints of a trial that is being trained, until its record is in the spool.

They are plain data and tensors, which `torch.load` reads with weights_only. A checkpoint that is
damaged, or of another trial or version, is ignored.
"""

from __future__ import annotations

import contextlib
import io
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gmsearch import __version__, ledger
from gmsearch.errors import DataError
from gmsearch.ledger.files import CHECKPOINTS

_log = logging.getLogger(__name__)


def write(folder: Path, key: str, state: Mapping[str, Any]) -> None:
    """Write `state` for a later attempt to resume from; the previous checkpoint is kept as well.

    Raises:
        StudyError: the file system refuses.
    """
    current, previous = _paths(folder, key)
    buffer = io.BytesIO()
    torch.save({**state, **_origin(key)}, buffer)
    with contextlib.suppress(FileNotFoundError):
        current.replace(previous)
    ledger.write_atomic(current, buffer.getvalue())


def read(folder: Path, key: str) -> dict[str, Any] | None:
    """Return the last state that can be resumed from; None if there is none."""
    for path in _paths(folder, key):
        try:
            return _read(path, key)
        except FileNotFoundError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes a reader raise
            _log.warning("%s: ignored, not resumed from: %s", path, str(error).partition("\n")[0])
    return None


def remove(folder: Path, key: str) -> None:
    """Remove the checkpoints of a trial."""
    for path in _paths(folder, key):
        with contextlib.suppress(OSError):
            path.unlink()


def _read(path: Path, key: str) -> dict[str, Any]:
    data = path.read_bytes()
    # torch does not look at the checksums it writes.
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.testzip() is not None:
            raise DataError("it is damaged")
    state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    for name, value in _origin(key).items():
        if state.pop(name) != value:
            raise DataError(f"expected {name} {value}, got another")
    return state


def _origin(key: str) -> dict[str, str]:
    """Return what must agree for a resumed trial to end like one never interrupted."""
    return {"trial": key, "gmsearch": __version__, "torch": str(torch.__version__)}


def _paths(folder: Path, key: str) -> tuple[Path, Path]:
    name = ledger.check_name(key, "record")
    return folder / CHECKPOINTS / f"{name}.pt", folder / CHECKPOINTS / f"{name}.previous.pt"
