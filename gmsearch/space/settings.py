"""How a study is searched and on what it runs, as frozen plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

Method = Literal["grid", "ablation", "random", "tpe", "nsga2"]
METHODS: tuple[Method, ...] = get_args(Method)
SELECTING: tuple[Method, ...] = ("random", "tpe", "nsga2")
"""The methods after which a winner is picked: they are told, and judged by, the holdout."""


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
