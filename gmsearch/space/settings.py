"""How a study is searched, tuned and matched, and what a trial may use, as frozen plain data."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from gmsearch.limits import (
    MAX_SEED,
    Length,
    Limit,
    Natural,
    NonNegative,
    OneOf,
    Positive,
    Probability,
    Seed,
    check,
)
from gmsearch.metrics import HOLDOUT, is_trained
from gmsearch.space.methods import METHODS, special_options, users_of
from gmsearch.wording import listing, spelled


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How candidates are chosen, and how often each is repeated."""

    method: Annotated[str, OneOf(METHODS)]
    """How candidates are chosen."""

    seeds: Annotated[tuple[Seed, ...], Length(least=1)] = (0,)
    """Seeds every arm is trained with: a list, or n for 0 … n-1."""

    candidates: Positive | None = None
    """Number of arms to train."""

    seed: Seed = 0
    """Seed of the sampler."""

    population: Annotated[int, Limit(ge=2)] | None = None
    """Population size."""

    max_failed: Natural | Probability | None = None
    """Failed trials (a count, or a share such as '20%') beyond which the study stops; it can be
    resumed. As data: an int is a count, a float a share."""

    def __post_init__(self) -> None:
        """Check every value, and that the method uses what is given.

        Raises:
            FieldError: with all errors at once.
        """
        check(self, *self._rules())

    def _rules(self) -> Iterator[tuple[bool, str, str]]:
        method = METHODS.get(self.method) if isinstance(self.method, str) else None
        if method is not None:
            for option in special_options():
                given = getattr(self, option) is not None
                yield (
                    given or option not in method.required,
                    option,
                    f"required by {self.method}; add `{option}: N`",
                )
                yield (
                    not given or option in method.options,
                    option,
                    f"only used by {listing(users_of(option))}, not by {self.method}; remove it",
                )
        if isinstance(self.seeds, tuple):
            yield _distinct(self.seeds, "seeds")

    @property
    def selects(self) -> bool:
        """Whether a winner is picked, so that the holdout must decide."""
        return METHODS[self.method].selects

    def judged_by(self, metric: str) -> str:
        """Return the metric that decides over `metric`; after a search it is of the holdout."""
        return f"{HOLDOUT}{metric}" if self.selects and is_trained(metric) else metric


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one trial holds while it runs."""

    cpus: Positive = 1
    """CPU cores, and threads, per trial."""

    gpus: NonNegative = 0.0
    """GPUs per trial; a fraction lets several trials share one."""

    def __post_init__(self) -> None:
        """Check every value; raises FieldError with all errors at once."""
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TuneOptions:
    """How the values of `tune` are chosen."""

    per: Literal["arm", "study"] = "arm"
    """arm: every arm gets the value that is best for it; study: all arms get the value with the
    best mean over the arms of the first batch."""

    metric: str = "top1"
    """Metric that decides, in its better direction: on the holdout, at the end of training."""

    seed: Seed = MAX_SEED
    """Seed of the tuning runs; none of `search.seeds`, so that no reported number comes from a
    run that was used to choose."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tune(TuneOptions):
    """Training parameters whose value is chosen on the holdout before an arm is trained."""

    values: Mapping[str, tuple[int | float, ...]]
    """The values to try, by field of the recipe, in the order of the file."""

    def __post_init__(self) -> None:
        """Check every value; raises FieldError with all errors at once."""
        check(self, *self._rules())

    def _rules(self) -> Iterator[tuple[bool, str, str]]:
        yield len(self.values) > 0, "values", "no parameter; give {lr: [1e-3, 3e-3, 1e-2]}"
        for name, values in self.values.items():
            path = f"values.{name}"
            yield len(values) > 1, path, f"expected at least two values, got {spelled(values)}"
            yield _distinct(values, path)

    def grid(self) -> list[dict[str, int | float]]:
        """Return all combinations of the values, the last parameter changing fastest."""
        rows = itertools.product(*self.values.values())
        return [dict(zip(self.values, row, strict=True)) for row in rows]

    def edges(self, chosen: Mapping[str, int | float]) -> dict[str, Literal["lowest", "highest"]]:
        """Return the parameters whose chosen value is an end of its range.

        A lowest value of 0 is no edge: nothing lies beyond it.
        """
        edges: dict[str, Literal["lowest", "highest"]] = {}
        for name, value in chosen.items():
            if value == max(self.values[name]):
                edges[name] = "highest"
            elif value == min(self.values[name]) and value != 0:
                edges[name] = "lowest"
        return edges


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Which cost every candidate shares with the baseline, and which field is scaled for it."""

    flops: Literal["baseline"] | None = None
    """Match the multiply-accumulates of the baseline."""

    params: Literal["baseline"] | None = None
    """Match the parameters of the baseline."""

    by: Literal["widths", "depths", "mlp_ratio"] = "widths"
    """The field that one factor scales in all stages."""

    tolerance: Annotated[float, Limit(gt=0, lt=1)] = 0.01
    """Largest difference, as a share of the baseline's cost."""

    def __post_init__(self) -> None:
        """Check every value, and that exactly one cost is named.

        Raises:
            FieldError: with all errors at once.
        """
        one = (self.flops is None) != (self.params is None)
        check(self, (one, "", "expected one cost; give `flops: baseline` or `params: baseline`"))

    @property
    def metric(self) -> str:
        """The static metric that is matched."""
        return "flops" if self.flops is not None else "params"


def _distinct(values: tuple[int | float, ...], path: str) -> tuple[bool, str, str]:
    """Return the rule that no value is listed twice."""
    twice = next((i for i, value in enumerate(values) if value in values[:i]), None)
    if twice is None:
        return True, path, ""
    return False, f"{path}.{twice}", f"{spelled(values[twice])} is listed twice; remove one"
