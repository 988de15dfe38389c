"""Parsing the files of a study folder, which anybody may have changed: nothing is trusted.

What is read is bounded in size, depth and numbers before anything is built from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gmsearch.bounded import LARGEST, decoded
from gmsearch.errors import StudyError


def read_bounded(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is none.
        StudyError: it is a folder, cannot be read, or is too large to be one of ours.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(str(path), error.strerror or str(error)) from error
    if len(data) > LARGEST:
        raise damaged(str(path), f"it has more than {LARGEST} bytes")
    return data


def lines(file: BinaryIO, place: Path) -> Iterator[bytes]:
    """Yield the lines of a file; StudyError where one is too large to be one of ours."""
    number = 0
    while line := file.readline(LARGEST + 1):
        number += 1
        if len(line) > LARGEST:
            raise damaged(f"{place}:{number}", f"it has more than {LARGEST} bytes")
        yield line


def parse(data: bytes, place: str) -> dict[str, Any]:
    """Return the JSON object in `data`; StudyError naming `place` where there is none."""
    try:
        tree = decoded(data)
    except ValueError as error:
        raise damaged(place, str(error)) from error
    if not isinstance(tree, dict):
        raise damaged(place, f"expected a JSON object, got a {type(tree).__name__}")
    return tree


def damaged(place: str, reason: str) -> StudyError:
    """Return the error for damaged content, with the remedy."""
    return StudyError(f"{place}: damaged: {reason}; restore it from a backup or remove it")
