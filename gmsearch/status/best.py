"""The best arm of a study so far, judged as the front is."""

from __future__ import annotations

import dataclasses

from gmsearch.comparable import comparable
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


def best_arm(space: Space, records: Records) -> Best | None:
    """Return the best arm by the first objective; None while no arms can be compared fairly."""
    goal = space.objectives[0]
    metric = space.search.judged_by(goal.metric)
    of_arms: dict[str, dict[int, float]] = {}
    params: dict[str, Assignment] = {}
    for trial in records.trials.values():
        value = records.metrics(trial, space.bands).get(metric)
        if trial.state is State.COMPLETE and value is not None:
            of_arms.setdefault(trial.arm, {})[trial.seed] = value
            params[trial.arm] = trial.params
    compared = comparable({arm: by_seed.keys() for arm, by_seed in of_arms.items()})
    if not compared.fair or not compared.seeds:
        return None
    means = compared.means(of_arms)
    best = min(means, key=lambda arm: goal.sign * means[arm])
    seeds = len(compared.seeds[best])
    return Best(params[best], metric, means[best], n=seeds, arms=len(means))
