"""How numbers are written for people: units, decimals, signs, and the mark of a missing number.

Stored values keep their base units; only what is returned here is scaled and rounded.
"""

from __future__ import annotations

from gmsearch.metrics import Form

MISSING = "\N{EN DASH}"
"""Shown where there is no number; a missing number is never a zero."""

MINUS = "\N{MINUS SIGN}"
"""Minus sign, as wide as a plus sign."""

BETTER = "\N{BLACK UP-POINTING TRIANGLE}"
WORSE = "\N{BLACK DOWN-POINTING TRIANGLE}"
"""Marks after a number that is better or worse than the baseline's; no reader takes them for a
sign."""

DISTURBED = "\N{DAGGER}"
"""Mark after what was timed while something disturbed the timing."""

UNITS: dict[Form, str] = {
    "share": "%",
    "count": "",
    "time": "ms",
    "rate": "images/s",
    "memory": "MB",
    "plain": "",
}
"""Unit of what `number` returns, by form."""

SCALES: dict[Form, float] = {**dict.fromkeys(UNITS, 1.0), "share": 100.0}
"""Factor from stored to shown values, by form."""

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | None, form: Form, *, decimals: int = 3, signed: bool = False) -> str:
    """Return a value in the unit of its form; `MISSING` for None.

    A count has four digits and a prefix instead of `decimals`; `signed` adds a plus sign.
    """
    if value is None:
        return MISSING
    plus = "+" if signed else ""
    if form == "count":
        scale, prefix = next((pair for pair in _PREFIXES if abs(value) >= pair[0]), (1, ""))
        text = f"{value / scale:{plus}.4g}{prefix}"
    else:
        text = f"{SCALES[form] * value:{plus}.{decimals}f}"
    zero = float(text.rstrip("kMG")) == 0
    return text.lstrip("+-") if zero else text.replace("-", MINUS)


def count(value: float | None) -> str:
    """Return a count with four digits and a prefix, such as `61.18k`; `MISSING` for None."""
    return number(value, "count")
