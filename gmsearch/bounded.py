"""JSON of files that anybody may have changed: bounded in size, depth and numbers.

Nothing is built from it before.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

LARGEST = 64 * 2**20
"""Largest file or line, in bytes, that is parsed; a trial's line has about 2 kB."""
_DEEPEST = 100
_MOST_DIGITS = 40
_LARGE_NUMBER = re.compile(rb"[0-9]{%d}|[eE]\+?[0-9]{3}" % _MOST_DIGITS)


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
