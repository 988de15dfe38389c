"""Which training values an arm is given: chosen on the holdout, from the ledger's records alone.

Every combination of values is trained once with a seed of its own. The choice is written down
as a `tuned` record, and holds from then on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.experiment import Arm
from gmsearch.ledger import Records
from gmsearch.metrics import HOLDOUT, lookup
from gmsearch.plain import plain
from gmsearch.space import Tune

Values = Mapping[str, int | float]

STUDY = "study"
"""What the choice of a `tuned` record is for where all arms share it; else an arm's digest."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TuningRun:
    """One combination of values of one arm."""

    values: Values
    arm: Arm
    key: str


class Tuning:
    """The runs that choose, and what they have chosen."""

    def __init__(
        self, tune: Tune | None, records: Records, trial_key: Callable[[Arm, int], str]
    ) -> None:
        """Keep what decides; `records` is read anew at every question."""
        self._tune = tune
        self._records = records
        self._trial_key = trial_key

    def trained(self, arm: Arm) -> Arm | None:
        """Return the arm with the values chosen; None while they are not, or where none did."""
        if self._tune is None:
            return arm
        decision = self._decision(arm)
        chosen = None if decision is None else decision["chosen"]
        return None if chosen is None else _with_values(arm, chosen)

    def hopeless(self, arm: Arm) -> bool:
        """Return whether no value could be chosen for the arm, so that it is never trained."""
        decision = self._decision(arm)
        return decision is not None and decision["chosen"] is None

    def runs(self, arm: Arm) -> list[TuningRun]:
        """Return the runs of an arm, by values; none of one that came after the choice."""
        tune = self._tune
        if tune is None:
            return []
        runs = []
        for values in tune.grid():
            # A recipe that a large space draws may not take every value.
            with contextlib.suppress(FieldError):
                other = _with_values(arm, values)
                key = self._trial_key(other, tune.seed)
                runs.append(TuningRun(values=values, arm=other, key=key))
        decided = self._decision(arm) is not None
        if decided and not all(run.key in self._records.tuning for run in runs):
            return []
        return runs

    def open(self, arm: Arm) -> list[TuningRun]:
        """Return the runs that the choice for an arm waits for."""
        return [] if self._decision(arm) is not None else self.runs(arm)

    def decisions(self, arms: Iterable[Arm]) -> list[dict[str, Any]]:
        """Return the records of the choices not written down yet; the runs must have ended."""
        tune = self._tune
        waiting = {arm.digest: arm for arm in arms if self._decision(arm) is None}
        if tune is None or not waiting:
            return []
        if tune.per == "study":
            return [self._decided(tune, STUDY, list(waiting.values()))]
        return [self._decided(tune, digest, [arm]) for digest, arm in waiting.items()]

    def _decision(self, arm: Arm) -> Mapping[str, Any] | None:
        study = self._tune is not None and self._tune.per == "study"
        return self._records.tuned.get(STUDY if study else arm.digest)

    def _decided(self, tune: Tune, of: str, arms: list[Arm]) -> dict[str, Any]:
        tried = [_Tried(values, self._scores(tune, arms, values)) for values in tune.grid()]
        own = {name: getattr(arms[0].recipe, name) for name in tune.values}
        best = min(tried, key=lambda one: _rank(one, tried, tune, own))
        chosen = best.values if any(score is not None for score in best.scores) else None
        return {
            "record": "tuned",
            "arm": of,
            "metric": f"{HOLDOUT}{tune.metric}",
            "seed": tune.seed,
            "tried": [
                {"values": plain(one.values), "mean": one.mean, "failed": one.failed}
                for one in tried
            ],
            "chosen": plain(chosen),
            "edges": {} if chosen is None else tune.edges(chosen),
        }

    def _scores(self, tune: Tune, arms: list[Arm], values: Values) -> list[float | None]:
        """Return what the arms reached with the values; None for those that failed."""
        found = []
        for arm in arms:
            keys = [run.key for run in self.runs(arm) if run.values == values]
            trials = [self._records.tuning[key] for key in keys if key in self._records.tuning]
            scores = [t.metrics.get(HOLDOUT + tune.metric) for t in trials]
            found.append(scores[0] if scores else None)
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class _Tried:
    values: Values
    scores: list[float | None]

    @property
    def failed(self) -> int:
        return sum(score is None for score in self.scores)

    @property
    def mean(self) -> float | None:
        found = [score for score in self.scores if score is not None]
        return statistics.fmean(found) if found else None


def _rank(
    one: _Tried, tried: list[_Tried], tune: Tune, own: Mapping[str, Any]
) -> tuple[float, float, float, int]:
    """Return a sort key: fewest arms failed, best mean, nearest to the recipe's own, first."""
    mean = one.mean
    worse = math.inf if mean is None else mean * lookup(tune.metric).sign
    distance = 0.0
    for name, values in tune.values.items():
        if own[name] is not None:
            distance += abs(one.values[name] - own[name]) / (max(values) - min(values))
    return one.failed, worse, distance, tried.index(one)


def _with_values(arm: Arm, values: Values) -> Arm:
    return dataclasses.replace(arm, recipe=dataclasses.replace(arm.recipe, **values))  # type: ignore[arg-type]


def remarks(record: Mapping[str, Any], name: str) -> list[str]:
    """Return what is to be said of a `tuned` record; `name` says of which arm it is."""
    if record["chosen"] is None:
        values = ", ".join(record["tried"][0]["values"])
        return [f"{name}: no value of {values} could be trained to its end; it is left out"]
    return [
        f"{name}: the {parameter} chosen, {record['chosen'][parameter]:g}, is the {end} of those "
        "tried; the best may lie beyond"
        for parameter, end in record["edges"].items()
    ]
