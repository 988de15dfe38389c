"""How a metric is called, which way it is better, and how its numbers are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gmsearch.experiment import Objective
from gmsearch.metrics import HOLDOUT, Form, is_trained, lookup
from gmsearch.stats import Summary

MISSING = "\N{EN DASH}"
"""Stands where there is no number; a missing number is never a zero."""

MINUS = "\N{MINUS SIGN}"
"""As wide as a plus."""

_BANDS = ("low@", "high@", "band@")
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNITS = {"share": "%", "count": "", "time": "ms", "rate": "images/s", "memory": "MB", "plain": ""}
_FINE_SPLIT = 5000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One measured quantity as it is shown. Values stay in base units; only text is scaled."""

    name: str
    maximize: bool
    kind: Form
    """share: a fraction in 0..1, shown in %; count: an integer, shown with k, M or G; time: ms;
    rate: images per second; memory: 10^6 bytes."""
    decimals: int = 3
    """Of the text; a count is shown to four digits instead."""

    @property
    def trained(self) -> bool:
        """Whether it has one value per seed, and not one per candidate."""
        return is_trained(self.name)

    @property
    def arrow(self) -> str:
        """The direction in which it is better."""
        return "↑" if self.maximize else "↓"

    @property
    def unit(self) -> str:
        """The unit of what `text` returns; empty for a bare number."""
        return _UNITS[self.kind]

    @property
    def title(self) -> str:
        """Name, direction and unit, as a heading."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.name} {self.arrow}{unit}"

    @property
    def sign(self) -> int:
        """The factor that makes smaller better."""
        return -1 if self.maximize else 1

    def text(self, value: float, *, signed: bool = False) -> str:
        """Return the number in the unit of `unit`, with its sign where it is a difference."""
        plus = "+" if signed else ""
        if self.kind == "count":
            scale, prefix = next((s for s in _PREFIXES if abs(value) >= s[0]), (1, ""))
            text = f"{value / scale:{plus}.4g}{prefix}"
        else:
            factor = 100 if self.kind == "share" else 1
            text = f"{factor * value:{plus}.{self.decimals}f}"
        zero = float(text.rstrip("kMG")) == 0
        return text.lstrip("+-") if zero else text.replace("-", MINUS)

    def spread(self, summary: Summary | None) -> str:
        """Return `mean ± sd`, the mean alone where there is no spread to speak of."""
        if summary is None:
            return MISSING
        mean = self.text(summary.mean)
        return mean if summary.sd is None else f"{mean} ± {self.text(summary.sd)}"

    def interval(self, low: float | None, high: float | None, *, signed: bool = False) -> str:
        """Return `[low, high]`, nothing where there is none."""
        if low is None or high is None:
            return ""
        return f"[{self.text(low, signed=signed)}, {self.text(high, signed=signed)}]"


def metric(name: str, objectives: Sequence[Objective], images: int | None) -> Metric:
    """Return the metric of that name; a declared objective says which way it is better.

    Of a split with so many `images`, shares have the decimals that one image more can change.
    """
    row, bare = lookup(name), name.removeprefix(HOLDOUT).partition("[")[0]
    declared = [o.direction == "maximize" for o in objectives if o.metric == bare]
    return Metric(
        name=name,
        maximize=(declared or [row.better == "higher"])[0],
        kind=row.form,
        decimals=3 if row.form != "share" else 1 if images and images < _FINE_SPLIT else 2,
    )


def is_band(name: str) -> bool:
    """Return whether a metric of the evaluation split depends on how bands are made."""
    return name.startswith((*_BANDS, "nodc["))
