"""The best arm of a study so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from gmsearch.cli.live.words import judged
from gmsearch.ledger import Records
from gmsearch.plain import Assignment
from gmsearch.records import State
from gmsearch.space import Space


@dataclasses.dataclass(frozen=True, slots=True)
class Best:
    """An arm, and what it was compared by."""

    params: Assignment
    metric: str
    value: float
    n: int
    """Number of seeds that the value is the mean of, the same for all arms compared."""
    arms: int
    """Number of arms compared."""


def best_so_far(space: Space, records: Records) -> Best | None:
    """Return the best arm by the first objective; None while no two arms can be compared.

    Seeds differ more than arms do, so only arms with the same seeds are compared: those that
    share the largest set of seeds that at least two have finished. A single arm is the best.
    """
    goal = space.objectives[0]
    metric = judged(space, goal.metric)
    of_arms: dict[str, dict[int, float]] = {}
    params: dict[str, Assignment] = {}
    for trial in records.trials.values():
        value = records.metrics(trial, space.bands).get(metric)
        if trial.state is State.COMPLETE and value is not None:
            of_arms.setdefault(trial.arm, {})[trial.seed] = value
            params[trial.arm] = trial.params
    seeds = _shared_seeds(map(frozenset, of_arms.values()))
    means = {
        arm: sum(by_seed[seed] for seed in seeds) / len(seeds)
        for arm, by_seed in of_arms.items()
        if seeds and seeds <= by_seed.keys()
    }
    if not means:
        return None
    best = min(means, key=lambda arm: goal.sign * means[arm])
    return Best(params[best], metric, means[best], n=len(seeds), arms=len(means))


def _shared_seeds(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    """Return the largest set of seeds that at least two arms have; of one arm, its own.

    Of sets as large, the one that most arms have.
    """
    arms: dict[frozenset[int], int] = {}
    for seeds in sets:
        arms[seeds] = arms.get(seeds, 0) + 1
    if sum(arms.values()) == 1:
        return next(iter(arms))
    kinds = list(arms)
    shared = {seeds for seeds, count in arms.items() if count > 1}
    shared |= {one & other for i, one in enumerate(kinds) for other in kinds[:i]}
    return max(
        shared,
        key=lambda seeds: (len(seeds), _having(arms, seeds), sorted(seeds, reverse=True)),
        default=frozenset(),
    )


def _having(arms: Mapping[frozenset[int], int], seeds: frozenset[int]) -> int:
    return sum(count for others, count in arms.items() if seeds <= others)
