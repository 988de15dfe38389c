"""Objectives and constraints: metrics with a direction, metrics with bounds."""

from __future__ import annotations

import dataclasses
from typing import Literal

from gmsearch.limits import check
from gmsearch.metrics import lookup


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """A metric and the direction in which it is better."""

    metric: str
    direction: Literal["maximize", "minimize"]

    def __post_init__(self) -> None:
        """Check the limits of every field."""
        check(self)

    @property
    def sign(self) -> int:
        """Factor by which values are multiplied so that smaller is better."""
        return 1 if self.direction == "minimize" else -1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """Bound of a metric: a number, or a multiple of the baseline's value."""

    value: float
    of_baseline: bool = False

    def __post_init__(self) -> None:
        """Check the limits of every field."""
        check(self)

    def resolve(self, baseline: float | None) -> float | None:
        """Return the bound as a number; None while the baseline's value is unknown."""
        if not self.of_baseline:
            return self.value
        return None if baseline is None else self.value * baseline

    def __str__(self) -> str:
        """Return the bound as written in a space file."""
        return f"{self.value:g} x baseline" if self.of_baseline else f"{self.value:g}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """Inclusive bounds of one metric."""

    metric: str
    minimum: Bound | None = None
    maximum: Bound | None = None

    def __post_init__(self) -> None:
        """Check that there is a bound and that the two do not contradict each other."""
        low, high = self.minimum, self.maximum
        check(
            self,
            (low is not None or high is not None, "", "has no bound; give `min`, `max` or both"),
            (
                low is None
                or high is None
                or low.of_baseline != high.of_baseline
                or low.value <= high.value,
                "",
                f"min {low} is above max {high}; swap them",
            ),
        )

    @property
    def static(self) -> bool:
        """Whether it can be judged before training, without a device."""
        return lookup(self.metric).known == "static"

    @property
    def timed(self) -> bool:
        """Whether it can be judged before training, by timing."""
        return lookup(self.metric).known == "timed"

    @property
    def of_baseline(self) -> bool:
        """Whether a bound is a multiple of the baseline's value."""
        bounds = (self.minimum, self.maximum)
        return any(bound is not None and bound.of_baseline for bound in bounds)

    def excess(self, value: float, baseline: float | None) -> float:
        """Return by how much `value` exceeds the bounds, in the metric's unit; <= 0 is feasible.

        A multiple of the baseline is ignored while the baseline's value is unknown.
        """
        over = [-float("inf")]
        if self.maximum is not None and (high := self.maximum.resolve(baseline)) is not None:
            over.append(value - high)
        if self.minimum is not None and (low := self.minimum.resolve(baseline)) is not None:
            over.append(low - value)
        return max(over)

    def __str__(self) -> str:
        """Return the constraint as an inequality, such as `flops <= 6e+06`."""
        low = f"{self.minimum} <= " if self.minimum is not None else ""
        high = f" <= {self.maximum}" if self.maximum is not None else ""
        return f"{low}{self.metric}{high}"
