"""What is measured, and what is asked of it: objectives and constraints."""

from __future__ import annotations

import dataclasses
from typing import Literal

from gmsearch.experiment.timing import timed

STATIC_METRICS = ("params", "flops", "elementwise_ops", "activation_elements")
"""Known before training, from the candidate alone."""
SPLIT_METRICS = ("top1", "top5", "loss", "nodc")
"""Measured after training, beside the band metrics, on every split."""
HOLDOUT = "holdout."
"""Prefix of a metric measured on the holdout of the training split."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """A metric and the direction in which it is better."""

    metric: str
    direction: Literal["maximize", "minimize"]

    @property
    def sign(self) -> int:
        """The factor that makes smaller better."""
        return 1 if self.direction == "minimize" else -1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A number, or a multiple of the baseline's value."""

    value: float
    of_baseline: bool = False

    def resolve(self, baseline: float | None) -> float | None:
        """Return the bound as a number; None while the baseline's value is not known."""
        if not self.of_baseline:
            return self.value
        return None if baseline is None else self.value * baseline

    def __str__(self) -> str:
        """Return the spelling of the space file."""
        return f"{self.value:g} x baseline" if self.of_baseline else f"{self.value:g}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """Bounds of one metric, both inclusive."""

    metric: str
    minimum: Bound | None = None
    maximum: Bound | None = None

    @property
    def static(self) -> bool:
        """Whether it can be judged before training, without a device."""
        return self.metric in STATIC_METRICS

    @property
    def timed(self) -> bool:
        """Whether it can be judged before training, by timing."""
        return timed(self.metric) is not None

    def excess(self, value: float, baseline: float | None) -> float:
        """Return by how much `value` breaks the bounds, in the metric's unit; <= 0 is feasible.

        A bound relative to a baseline whose value is not known binds nothing.
        """
        over = [-float("inf")]
        if self.maximum is not None and (high := self.maximum.resolve(baseline)) is not None:
            over.append(value - high)
        if self.minimum is not None and (low := self.minimum.resolve(baseline)) is not None:
            over.append(low - value)
        return max(over)

    def __str__(self) -> str:
        """Return the constraint as one reads it, such as `flops <= 6e+06`."""
        low = f"{self.minimum} <= " if self.minimum is not None else ""
        high = f" <= {self.maximum}" if self.maximum is not None else ""
        return f"{low}{self.metric}{high}"
