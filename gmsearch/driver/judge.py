"""What is known of an arm before training, and whether it may be trained at all."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from gmsearch.costs import matched_arm, mismatch, static_cost, uncounted_operators
from gmsearch.driver.preflight import RunContext
from gmsearch.driver.tuning import Tuning
from gmsearch.experiment import Arm, Assignment, Constraint, timed, trial_key
from gmsearch.ledger import Records
from gmsearch.metrics import HOLDOUT, is_trained
from gmsearch.networks import Candidate
from gmsearch.plain import digest
from gmsearch.records import State
from gmsearch.search import Outcome
from gmsearch.space import Space


class Judge:
    """Static costs, timings and constraints of arms, from the space and the ledger's records."""

    def __init__(self, space: Space, context: RunContext, records: Records) -> None:
        """Keep what is judged by; `records` is read anew at every question."""
        self.space = space
        self.context = context
        self.records = records
        self.baseline = space.arm(space.baseline) if space.baseline is not None else None
        self.tuning = Tuning(space.tune, records, self.trial_key)
        self._matched: dict[str, Arm] = {}
        wanted = [o.metric for o in space.objectives] + [c.metric for c in space.constraints]
        self.timed = tuple(metric for metric in dict.fromkeys(wanted) if timed(metric))
        """The metrics of objectives and constraints that are measured by timing."""
        self._timings: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._timings_read = 0

    def arm(self, assignment: Assignment) -> Arm:
        """Return the arm of a proposal: as the space says it, its cost matched to the baseline's.

        Its training values are not chosen yet: see `tuning`.
        """
        asked = self.space.arm(assignment)
        if self.space.match is None:
            return asked
        digest = asked.digest
        if digest not in self._matched:
            self._matched[digest] = matched_arm(self.space, asked, self.context.task)
        return self._matched[digest]

    def static(self, candidate: Candidate) -> Mapping[str, float]:
        """Return the static metrics of `candidate`, counted once."""
        return static_cost(candidate, self.context.task)

    def uncounted(self, arm: Arm) -> list[str]:
        """Return the operators that the static metrics of `arm` leave out."""
        return uncounted_operators(arm.candidate, self.context.task)

    def known(self, arm: Arm) -> dict[str, float]:
        """Return all that is known of `arm` before training: static metrics, and timed ones."""
        measured = self.timing(arm)
        found = {name: measured[name] for name in self.timed if name in measured}
        return {**self.static(arm.candidate), **found}

    def violations(self, arm: Arm) -> dict[str, float]:
        """Return by how much `arm` breaks each constraint that can be judged before training.

        A timed metric breaks its bound only if its whole interval does. One that could not be
        measured is not judged here.
        """
        found = {}
        for constraint in self.space.constraints:
            excess = self._excess(constraint, arm)
            if excess is not None and excess > 0:
                found[constraint.metric] = excess
        excess = mismatch(self.space, arm, self.context.task)
        if excess > 0 and self.space.match is not None:
            found[f"match.{self.space.match.metric}"] = excess
        return found

    def timing_key(self, arm: Arm) -> str:
        """Return what a timing belongs to: the candidate, and all that a clock could see."""
        return digest(
            {
                "candidate": arm.candidate.digest,
                "classes": self.context.classes,
                "resolution": self.context.resolution,
                "device": self.context.device_name,
                "threads": self.space.resources.cpus,
            }
        )

    def trial_key(self, arm: Arm, seed: int) -> str:
        """Return the key of the trial of `arm` with `seed`."""
        return trial_key(
            arm,
            data_identity=self.context.data_identity,
            holdout=self.space.data.holdout,
            seed=seed,
            device_kind=self.context.device,
        )

    def objective(self, arm: Arm, metric: str) -> float | None:
        """Return what selection sees of `arm`: a metric known before training, or a mean.

        Trained metrics are of the holdout where the method selects. None where a seed is missing.
        """
        known = self.known(arm)
        if metric in known or not is_trained(metric):
            return known.get(metric)
        return self._mean(arm, f"{HOLDOUT}{metric}" if self.space.search.selects else metric)

    def outcome(self, number: int, arm: Arm) -> Outcome:
        """Return what the sampler is told of its proposal: of the arm, the mean over its seeds."""
        violations = self.excesses(arm)
        if self.violations(arm):
            return Outcome(number=number, state="infeasible", violations=violations)
        values = [self.objective(arm, wanted.metric) for wanted in self.space.objectives]
        known = tuple(value for value in values if value is not None)
        if len(known) < len(values):
            return Outcome(number=number, state="failed")
        return Outcome(number=number, state="complete", values=known, violations=violations)

    def excesses(self, arm: Arm) -> tuple[float, ...]:
        """Return by how much `arm` breaks each constraint; <= 0 where it holds or is not known."""
        found = []
        for constraint in self.space.constraints:
            excess = self._excess(constraint, arm)
            value = self.objective(arm, constraint.metric) if excess is None else None
            if value is not None:
                excess = constraint.excess(value, self._baseline_value(constraint))
            found.append(excess or 0.0)
        if self.space.match is not None:
            found.append(mismatch(self.space, arm, self.context.task))
        return tuple(found)

    def _mean(self, arm: Arm, metric: str) -> float | None:
        """Return the mean of a trained metric over the seeds; None unless all are COMPLETE."""
        trained = self.tuning.trained(arm)
        if trained is None:
            return None
        keys = [self.trial_key(trained, seed) for seed in self.space.search.seeds]
        trials = [self.records.trials.get(key) for key in keys]
        values = [
            metrics[metric]
            for t in trials
            if t is not None and t.state is State.COMPLETE
            for metrics in (self.records.metrics(t, self.space.bands),)
            if metric in metrics
        ]
        return statistics.fmean(values) if len(values) == len(trials) else None

    def timing(self, arm: Arm) -> Mapping[str, float]:
        """Return all that was measured by timing `arm`, each timing under its own conditions."""
        found: dict[str, float] = {}
        for record in self._timings_of(self.timing_key(arm)).values():
            found |= record.get("metrics", {})
        return found

    def last_timing(self, key: str, request: str) -> Mapping[str, Any] | None:
        """Return the record of the last attempt at a timing."""
        return self._timings_of(key).get(request)

    def _timings_of(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the last records of one key, by request."""
        for record in self.records.timings[self._timings_read :]:
            self._timings.setdefault(record["key"], {})[record.get("request", "")] = record
        self._timings_read = len(self.records.timings)
        return self._timings.get(key, {})

    def _excess(self, constraint: Constraint, arm: Arm) -> float | None:
        """Return by how much a metric known before training breaks its bounds, None if unknown.

        Of a timed one, what is least over its interval.
        """
        name, baseline = constraint.metric, self._baseline_value(constraint)
        if constraint.static:
            return constraint.excess(self.static(arm.candidate)[name], baseline)
        measured = self.timing(arm) if constraint.timed else {}
        ends = (measured.get(end) for end in (name, f"{name}.low", f"{name}.high"))
        return min((constraint.excess(v, baseline) for v in ends if v is not None), default=None)

    def _baseline_value(self, constraint: Constraint) -> float | None:
        return None if self.baseline is None else self.objective(self.baseline, constraint.metric)
