"""Wording of messages: values as a file spells them, suggestions for misspelt names, lists."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

_SHOWN_CHARACTERS = 60
_LISTED_NAMES = 16
_CLOSE = 0.6


def closest(word: object, names: Iterable[object]) -> str | None:
    """Return the name that `word` may be a misspelling of; None where none is close."""
    close = difflib.get_close_matches(str(word), [str(name) for name in names], 1, _CLOSE)
    return close[0] if close else None


def near(word: object, names: Iterable[object]) -> str:
    """Return `did you mean 'x'?` for the name nearest to `word`, else the names to choose from."""
    known = [str(name) for name in names]
    if close := closest(word, known):
        return f"did you mean {close!r}?"
    if not known:
        return "there is none to choose from"
    more = ", …" if len(known) > _LISTED_NAMES else ""
    return f"choose from {', '.join(known[:_LISTED_NAMES])}{more}"


def shown(value: object) -> str:
    """Return a value as a space file spells it, shortened, words in quotes."""
    text = f"'{value}'" if isinstance(value, str) else spelled(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def spelled(value: object) -> str:
    """Return a value as a space file spells it: `none`, `true`, `0.003`, `[16, 32]`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {spelled(item)}' for key, item in value.items())}}}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(spelled(item) for item in value)}]"
    return str(value)


def compact(value: object) -> str:
    """Return a short spelling, numbers to six digits: `none`, `0.003`, `16-32`."""
    if isinstance(value, (tuple, list)):
        return "-".join(compact(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else spelled(value)


def listing(names: Iterable[object], last: str = "and") -> str:
    """Return names as English lists them: `a`, `a and b`, `a, b and c`."""
    *most, end = map(str, names)
    return f"{', '.join(most)} {last} {end}" if most else end


def gigabytes(n_bytes: int) -> str:
    """Return a number of bytes such as `23.5 GB`, of any size."""
    return f"{n_bytes / 1e9:,.3g} GB"


def magnitude(count: int) -> str:
    """Return a count, or about how many it is where nobody would read its digits."""
    return f"{count:,}" if count < 10**12 else f"about 10^{math.floor(math.log10(count))}"
