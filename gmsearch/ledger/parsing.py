"""Parsing the files of a study folder, which anybody may have changed: nothing is trusted.

What is read is bounded in size, depth and numbers before anything is built from it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gmsearch.errors import StudyError

_LARGEST = 64 * 2**20
"""Largest file or line, in bytes, that is parsed; a trial's line has about 2 kB."""
_DEEPEST = 100
_MOST_DIGITS = 40
_LARGE_NUMBER = re.compile(rb"[0-9]{%d}|[eE]\+?[0-9]{3}" % _MOST_DIGITS)


def read_bounded(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is none.
        StudyError: it is a folder, cannot be read, or is too large to be one of ours.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(str(path), error.strerror or str(error)) from error
    if len(data) > _LARGEST:
        raise damaged(str(path), f"it has more than {_LARGEST} bytes")
    return data


def lines(file: BinaryIO, place: Path) -> Iterator[bytes]:
    """Yield the lines of a file; StudyError where one is too large to be one of ours."""
    number = 0
    while line := file.readline(_LARGEST + 1):
        number += 1
        if len(line) > _LARGEST:
            raise damaged(f"{place}:{number}", f"it has more than {_LARGEST} bytes")
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


def decoded(data: bytes) -> Any:
    """Return the JSON value in `data`.

    Raises:
        ValueError: it is no JSON, nested too deeply, or contains a number that is not finite.
    """
    decoder = _CAREFUL if _LARGE_NUMBER.search(data) else _QUICK
    try:
        tree = decoder.decode(data.decode())
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if data.count(b"[") + data.count(b"{") > _DEEPEST:
        _require_shallow(tree)
    return tree


_TOO_DEEP = f"nested more than {_DEEPEST} levels deep"


def _not_a_number(text: str) -> float:
    raise ValueError(f"{text} is not a finite number")


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_a_number(text[:_MOST_DIGITS])


_QUICK = json.JSONDecoder(parse_constant=_not_a_number)
_CAREFUL = json.JSONDecoder(parse_constant=_not_a_number, parse_int=_integer, parse_float=_finite)
"""Decoder of data that may contain a number too large; it takes twice the time."""


def _require_shallow(tree: Any) -> None:
    level = [tree]
    for _ in range(_DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def damaged(place: str, reason: str) -> StudyError:
    """Return the error for damaged content, with the remedy."""
    return StudyError(f"{place}: damaged: {reason}; restore it from a backup or remove it")
