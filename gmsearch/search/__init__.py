"""Samplers, which propose what to try next: one per search method, all with `ask` and `tell`.

A sampler proposes assignments of a space and records outcomes; it does not know how or where
they are run, and its proposals depend only on the space and on earlier outcomes. Samplers need
neither torch nor ray, and load Optuna only for Optuna's methods.
"""

from __future__ import annotations

from collections.abc import Callable

from gmsearch.search.listed import ablation, grid
from gmsearch.search.modelled import nsga2, tpe
from gmsearch.search.proposal import Outcome, Proposal, Sampler
from gmsearch.search.scheduler import Scheduler
from gmsearch.search.uniform import Random
from gmsearch.space import Space
from gmsearch.tables import Table

__all__ = ["SAMPLERS", "Outcome", "Proposal", "Sampler", "Scheduler", "sampler"]

SAMPLERS: Table[Callable[[Space], Sampler]] = Table(
    "method",
    {
        "grid": grid,
        "ablation": ablation,
        "random": Random,
        "tpe": tpe,
        "nsga2": nsga2,
    },
)
"""The sampler of every row of `gmsearch.space.METHODS`."""


def sampler(space: Space) -> Sampler:
    """Return a new sampler of the space's method."""
    return SAMPLERS[space.search.method](space)
