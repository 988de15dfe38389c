"""How a study is searched and on what it runs, as frozen plain data."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Literal, get_args

from gmsearch.errors import FieldError

Method = Literal["grid", "ablation", "random", "tpe", "nsga2"]
METHODS: tuple[Method, ...] = get_args(Method)
SELECTING: tuple[Method, ...] = ("random", "tpe", "nsga2")
"""The methods after which a winner is picked: they are told, and judged by, the holdout."""
MAX_SEED = 2**32 - 1
"""The largest seed that every generator in use takes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How candidates are chosen, and how often each is repeated."""

    method: Method
    """grid: the full factorial; ablation: one factor at a time from the baseline; random, tpe and
    nsga2: as many candidates as asked for."""

    seeds: tuple[int, ...] = (0,)
    """Of the repeats of every arm: a list, or how many, from 0."""

    candidates: int | None = None
    """How many arms are trained; random, tpe and nsga2 need it."""

    seed: int = 0
    """Of the sampler."""

    population: int | None = None
    """Of nsga2."""

    max_failed: int | float | None = None
    """Failed trials (a count, or a share such as '20%') beyond which the study stops; it can be
    resumed. As data: an int is a count, a float a share."""

    @property
    def selects(self) -> bool:
        """Whether a winner is picked, so that the holdout must decide."""
        return self.method in SELECTING


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one trial holds while it runs."""

    cpus: int = 1
    """Cores, and threads, of a trial."""

    gpus: float = 0.0
    """Of a trial; a fraction lets trials share one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choosing:
    """How the values of `tune` are chosen."""

    per: Literal["arm", "study"] = "arm"
    """arm: every arm gets the value that is best for it; study: all get the one that is best in
    the mean over the arms of the first batch."""

    metric: str = "top1"
    """Metric on the holdout at the end of training that decides, in its better direction."""

    seed: int = MAX_SEED
    """Of the training runs that choose; none of `search.seeds`, so that no number shown comes
    from a run that chose."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tune(Choosing):
    """Training parameters whose value is chosen on the holdout before an arm is trained."""

    values: Mapping[str, tuple[int | float, ...]]
    """By field of the recipe, in the order of the file."""

    def grid(self) -> list[dict[str, int | float]]:
        """Return all combinations of the values, the last parameter changing fastest."""
        rows = itertools.product(*self.values.values())
        return [dict(zip(self.values, row, strict=True)) for row in rows]

    def edges(self, chosen: Mapping[str, int | float]) -> dict[str, Literal["lowest", "highest"]]:
        """Return the parameters whose chosen value is an end of its range.

        A lowest value of 0 is none: there is nothing beyond it.
        """
        found: dict[str, Literal["lowest", "highest"]] = {}
        for name, value in chosen.items():
            if value == max(self.values[name]):
                found[name] = "highest"
            elif value == min(self.values[name]) and value != 0:
                found[name] = "lowest"
        return found


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Which cost of a candidate is made that of the baseline, and by what."""

    flops: Literal["baseline"] | None = None
    """Match the multiply-accumulates of the baseline."""

    params: Literal["baseline"] | None = None
    """Match the parameters of the baseline."""

    by: Literal["widths", "depths", "mlp_ratio"] = "widths"
    """The field that one factor scales in all stages."""

    tolerance: float = 0.01
    """Largest difference, as a share of the baseline's cost."""

    def __post_init__(self) -> None:
        """Refuse no metric, and two."""
        if (self.flops is None) == (self.params is None):
            raise FieldError("", "names no cost, or two; give `flops: baseline` or `params: …`")

    @property
    def metric(self) -> str:
        """The static metric that is matched."""
        return "flops" if self.flops is not None else "params"
