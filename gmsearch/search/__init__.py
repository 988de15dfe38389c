"""What to try next: listed, random and modelled samplers behind one ask and tell.

A sampler proposes assignments of a space and learns outcomes; it knows nothing of how or where
they are run, and everything it proposes follows from the space and from what it was told. It
needs neither torch nor ray, and loads Optuna only for the methods that are Optuna's.
"""

from __future__ import annotations

from collections.abc import Callable

from gmsearch.search.listed import ablation, grid
from gmsearch.search.modelled import nsga2, tpe
from gmsearch.search.proposal import Outcome, Proposal, Sampler
from gmsearch.search.uniform import Random
from gmsearch.space import Space

__all__ = ["Outcome", "Proposal", "Sampler", "sampler"]

METHODS: dict[str, Callable[[Space], Sampler]] = {
    "grid": grid,
    "ablation": ablation,
    "random": Random,
    "tpe": tpe,
    "nsga2": nsga2,
}


def sampler(space: Space) -> Sampler:
    """Return a sampler of the space's method that has not been asked yet."""
    return METHODS[space.search.method](space)
