"""Choice of an arm's training values on the holdout, from the ledger's records alone.

Every combination of values is trained once with a separate seed. The choice is recorded as a
`tuned` record and never changes.
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
from gmsearch.records import TriedPart, TunedRecord
from gmsearch.space import Tune

TrainingValues = Mapping[str, int | float]

STUDY = "study"
"""Name of the choice that all arms share; that of a single arm is named by its digest."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TuningRun:
    """One combination of values of one arm."""

    values: TrainingValues
    arm: Arm
    key: str


class Tuning:
    """Runs that try training values, and the values chosen from them."""

    def __init__(
        self, tune: Tune | None, records: Records, trial_key: Callable[[Arm, int], str]
    ) -> None:
        """Keep the sources; `records` is read anew by every method."""
        self._tune = tune
        self._records = records
        self._trial_key = trial_key

    def trained(self, arm: Arm) -> Arm | None:
        """Return the arm with its chosen values; None if none are chosen (yet)."""
        if self._tune is None:
            return arm
        decision = self._decision(arm)
        chosen = None if decision is None else decision.chosen
        return None if chosen is None else _with_values(arm, chosen)

    def hopeless(self, arm: Arm) -> bool:
        """Return whether no value could be chosen for the arm: it is never trained."""
        decision = self._decision(arm)
        return decision is not None and decision.chosen is None

    def runs(self, arm: Arm) -> list[TuningRun]:
        """Return the runs of an arm, by values; an empty list if it was added after the choice."""
        tune = self._tune
        if tune is None:
            return []
        runs = []
        for values in tune.grid():
            # A recipe drawn from a large space may not accept every value.
            with contextlib.suppress(FieldError):
                other = _with_values(arm, values)
                key = self._trial_key(other, tune.seed)
                runs.append(TuningRun(values=values, arm=other, key=key))
        decided = self._decision(arm) is not None
        if decided and not all(run.key in self._records.tuning for run in runs):
            return []
        return runs

    def open(self, arm: Arm) -> list[TuningRun]:
        """Return the runs that are needed before the choice for an arm."""
        return [] if self._decision(arm) is not None else self.runs(arm)

    def decisions(self, arms: Iterable[Arm]) -> list[TunedRecord]:
        """Return records of the choices not recorded yet; the runs must have ended."""
        tune = self._tune
        waiting = {arm.digest: arm for arm in arms if self._decision(arm) is None}
        if tune is None or not waiting:
            return []
        if tune.per == "study":
            return [self._decided(tune, STUDY, list(waiting.values()))]
        return [self._decided(tune, digest, [arm]) for digest, arm in waiting.items()]

    def _decision(self, arm: Arm) -> TunedRecord | None:
        study = self._tune is not None and self._tune.per == "study"
        return self._records.tuned.get(STUDY if study else arm.digest)

    def _decided(self, tune: Tune, of: str, arms: list[Arm]) -> TunedRecord:
        tried = [_Tried(values, self._scores(tune, arms, values)) for values in tune.grid()]
        own = {name: getattr(arms[0].recipe, name) for name in tune.values}
        best = min(tried, key=lambda one: _choice_rank(one, tried, tune, own))
        chosen = best.values if any(score is not None for score in best.scores) else None
        return TunedRecord(
            arm=of,
            metric=f"{HOLDOUT}{tune.metric}",
            seed=tune.seed,
            tried=tuple(
                TriedPart(values=plain(one.values), mean=one.mean, failed=one.failed)
                for one in tried
            ),
            chosen=plain(chosen),
            edges={} if chosen is None else tune.edges(chosen),
        )

    def _scores(self, tune: Tune, arms: list[Arm], values: TrainingValues) -> list[float | None]:
        """Return the score of each arm with the values; None for arms that failed."""
        scores_of_arms: list[float | None] = []
        for arm in arms:
            keys = [run.key for run in self.runs(arm) if run.values == values]
            trials = [self._records.tuning[key] for key in keys if key in self._records.tuning]
            scores = [t.metrics.get(HOLDOUT + tune.metric) for t in trials]
            scores_of_arms.append(scores[0] if scores else None)
        return scores_of_arms


@dataclasses.dataclass(frozen=True, slots=True)
class _Tried:
    values: TrainingValues
    scores: list[float | None]

    @property
    def failed(self) -> int:
        return sum(score is None for score in self.scores)

    @property
    def mean(self) -> float | None:
        scores = [score for score in self.scores if score is not None]
        return statistics.fmean(scores) if scores else None


def _choice_rank(
    one: _Tried, tried: list[_Tried], tune: Tune, own: Mapping[str, Any]
) -> tuple[float, float, float, int]:
    """Return a sort key: fewest failed arms, best mean, nearest to the recipe's value first."""
    mean = one.mean
    worse = math.inf if mean is None else mean * lookup(tune.metric).sign
    distance = 0.0
    for name, values in tune.values.items():
        if own[name] is not None:
            distance += abs(one.values[name] - own[name]) / (max(values) - min(values))
    return one.failed, worse, distance, tried.index(one)


def _with_values(arm: Arm, values: TrainingValues) -> Arm:
    return dataclasses.replace(arm, recipe=dataclasses.replace(arm.recipe, **values))  # type: ignore[arg-type]


def tuning_remarks(record: TunedRecord, name: str) -> list[str]:
    """Return warnings about a choice: none could be made, or it lies at the edge of its range.

    `name` is that of the arm.
    """
    if record.chosen is None:
        values = ", ".join(record.tried[0].values)
        return [f"{name}: no value of {values} could be trained to the end; it is left out"]
    return [
        f"{name}: the {parameter} chosen, {record.chosen[parameter]:g}, is the {end} value tried; "
        "the optimum may lie outside the range"
        for parameter, end in record.edges.items()
    ]
