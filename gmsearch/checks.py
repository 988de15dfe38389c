"""Checks of single values that annotations have not taken over yet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gmsearch.limits import require


def one_of(value: object, names: Sequence[str], path: str) -> None:
    """Raise FieldError unless `value` is one of `names`."""
    require(value in names, path, f"{value!r} is not one of {', '.join(names)}")


def is_int(value: object) -> bool:
    """Return whether `value` is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether `value` is a finite number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
