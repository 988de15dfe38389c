"""A metric as shown in one study: its direction there, and the decimals of its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gmsearch.display import MISSING, SCALES, UNITS, number
from gmsearch.experiment import Objective
from gmsearch.metrics import HOLDOUT, Form, is_trained, lookup
from gmsearch.stats import Summary

_BANDS = ("low@", "high@", "band@")
_FINE_SPLIT = 5000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShownMetric:
    """One measured quantity as it is shown. Values stay in base units; only text is scaled."""

    name: str
    maximize: bool
    form: Form
    decimals: int = 3
    """Decimals of the text; ignored for counts."""

    @property
    def trained(self) -> bool:
        """Whether it has one value per seed rather than one per candidate."""
        return is_trained(self.name)

    @property
    def arrow(self) -> str:
        """The direction in which it is better."""
        return "↑" if self.maximize else "↓"

    @property
    def unit(self) -> str:
        """The unit of what `text` returns; empty for a bare number."""
        return UNITS[self.form]

    @property
    def factor(self) -> float:
        """The factor from stored values to those in `unit`."""
        return SCALES[self.form]

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
        """Return the number in `unit`; with its sign if it is a difference."""
        return number(value, self.form, decimals=self.decimals, signed=signed)

    def with_unit(self, value: float) -> str:
        """Return the number followed by its unit."""
        return f"{self.text(value)} {self.unit}".rstrip()

    def spread(self, summary: Summary | None) -> str:
        """Return `mean ± sd`, or the mean alone if there is no spread."""
        if summary is None:
            return MISSING
        mean = self.text(summary.mean)
        return mean if summary.sd is None else f"{mean} ± {self.text(summary.sd)}"

    def interval(self, low: float | None, high: float | None, *, signed: bool = False) -> str:
        """Return `[low, high]`, or nothing if there is no interval."""
        if low is None or high is None:
            return ""
        return f"[{self.text(low, signed=signed)}, {self.text(high, signed=signed)}]"


def shown_metric(name: str, objectives: Sequence[Objective], images: int | None) -> ShownMetric:
    """Return the metric of that name; a declared objective overrides its better direction.

    Shares have the decimals that one image out of `images`, the size of the split, can change.
    """
    row, bare = lookup(name), name.removeprefix(HOLDOUT).partition("[")[0]
    declared = [o.direction == "maximize" for o in objectives if o.metric == bare]
    return ShownMetric(
        name=name,
        maximize=(declared or [row.better == "higher"])[0],
        form=row.form,
        decimals=3 if row.form != "share" else 1 if images and images < _FINE_SPLIT else 2,
    )


def is_band(name: str) -> bool:
    """Return whether a metric of the evaluation split depends on how bands are made."""
    return name.startswith((*_BANDS, "nodc["))
