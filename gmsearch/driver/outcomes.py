"""Everything known of an arm: cost, timings, constraints, and its outcome for the sampler."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from gmsearch.costs import matched_arm, mismatch, static_cost, uncounted_operators
from gmsearch.driver.preflight import RunContext
from gmsearch.driver.timings import TimingIndex
from gmsearch.driver.tuning import Tuning
from gmsearch.experiment import Arm, Constraint, timed, timing_key, trial_key
from gmsearch.ledger import Records
from gmsearch.metrics import is_trained
from gmsearch.networks import Candidate
from gmsearch.plain import Assignment
from gmsearch.records import State, TimingRecord, TrialRecord
from gmsearch.search import Outcome
from gmsearch.space import Space


class ArmResults:
    """All results of arms so far, from the space and the ledger's records."""

    def __init__(self, space: Space, context: RunContext, records: Records) -> None:
        """Keep the sources; `records` is read anew by every method."""
        self.space = space
        self.context = context
        self.records = records
        self.baseline = space.arm(space.baseline) if space.baseline is not None else None
        self.tuning = Tuning(space.tune, records, self.trial_key)
        self._timings = TimingIndex(records, context.device_name)
        self._matched: dict[str, Arm] = {}
        wanted = [o.metric for o in space.objectives] + [c.metric for c in space.constraints]
        self.timed = tuple(metric for metric in dict.fromkeys(wanted) if timed(metric))
        """Metrics of objectives and constraints that are measured by timing."""

    def arm(self, assignment: Assignment) -> Arm:
        """Return the arm of a proposal, its cost matched to the baseline's if the space says so.

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
        """Return the static metrics of `candidate`."""
        return static_cost(candidate, self.context.task)

    def uncounted(self, arm: Arm) -> list[str]:
        """Return the operators that the static metrics of `arm` leave out."""
        return uncounted_operators(arm.candidate, self.context.task)

    def known(self, arm: Arm) -> dict[str, float]:
        """Return the metrics of `arm` known before training: static and timed."""
        measured = self.timing(arm)
        latencies = {name: measured[name] for name in self.timed if name in measured}
        return {**self.static(arm.candidate), **latencies}

    def violations(self, arm: Arm, *, timed: bool = True) -> dict[str, float]:
        """Return the excess of `arm` over each constraint that is decided before training.

        A timed metric breaks its bound only if its whole interval does. A constraint on a metric
        that could not be measured is not decided here; nor is, without `timed`, one on a metric
        that is measured by timing.
        """
        broken = {}
        for constraint in self.space.constraints:
            if constraint.timed and not timed:
                continue
            excess = self._excess(constraint, arm)
            if excess is not None and excess > 0:
                broken[constraint.metric] = excess
        excess = mismatch(self.space, arm, self.context.task)
        if excess > 0 and self.space.match is not None:
            broken[f"match.{self.space.match.metric}"] = excess
        return broken

    def timing_key(self, arm: Arm) -> str:
        """Return the key of the timing of `arm` on the device that timings are compared on."""
        return timing_key(
            arm,
            classes=self.context.classes,
            resolution=self.context.resolution,
            device_name=self.timing_device,
            threads=self.space.resources.cpus,
        )

    @property
    def timing_device(self) -> str:
        """Name of the device that timings are compared on."""
        return self._timings.device_name

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
        """Return the value of a metric that selection uses: known before training, or a mean.

        Trained metrics are those of the holdout if the method selects. None if a seed is missing.
        """
        known = self.known(arm)
        if metric in known or not is_trained(metric):
            return known.get(metric)
        return self._mean(arm, self.space.search.judged_by(metric))

    def outcome(self, number: int, arm: Arm) -> Outcome:
        """Return the outcome of a proposal for the sampler: of its arm, the mean over seeds."""
        violations = self.excesses(arm)
        if self.violations(arm):
            return Outcome(number=number, state="infeasible", violations=violations)
        values = [self.objective(arm, wanted.metric) for wanted in self.space.objectives]
        known = tuple(value for value in values if value is not None)
        if len(known) < len(values):
            states = {trial.state for trial in self._trials(arm) if trial is not None}
            pruned = State.PRUNED in states and State.FAILED not in states
            return Outcome(number=number, state="pruned" if pruned else "failed")
        return Outcome(number=number, state="complete", values=known, violations=violations)

    def excesses(self, arm: Arm) -> tuple[float, ...]:
        """Return the excess of `arm` over each constraint; <= 0 if it holds or is not known."""
        excesses = []
        for constraint in self.space.constraints:
            excess = self._excess(constraint, arm)
            value = self.objective(arm, constraint.metric) if excess is None else None
            if value is not None:
                excess = constraint.excess(value, self._baseline_value(constraint))
            excesses.append(excess or 0.0)
        if self.space.match is not None:
            excesses.append(mismatch(self.space, arm, self.context.task))
        return tuple(excesses)

    def timing(self, arm: Arm) -> Mapping[str, float]:
        """Return all metrics measured by timing `arm`, under all conditions."""
        metrics: dict[str, float] = {}
        for record in self._timings.of(self.timing_key(arm)).values():
            metrics |= record.metrics or {}
        return metrics

    def last_timing(self, key: str, request: str) -> TimingRecord | None:
        """Return the record of the last attempt at a timing."""
        return self._timings.last(key, request)

    def disturbed(self, arm: Arm) -> tuple[str, ...]:
        """Return the timed metrics of `arm` that only a disturbed timing measured."""
        doubtful: set[str] = set()
        for record in self._timings.of(self.timing_key(arm)).values():
            if record.disturbed:
                doubtful |= set(record.metrics or {})
        return tuple(name for name in self.timed if name in doubtful)

    @property
    def doubtful_constraints(self) -> list[Constraint]:
        """The constraints whose bound is a multiple of a disturbed timing of the baseline."""
        if self.baseline is None:
            return []
        disturbed = self.disturbed(self.baseline)
        return [c for c in self.space.constraints if c.of_baseline and c.metric in disturbed]

    def _trials(self, arm: Arm) -> list[TrialRecord | None]:
        """Return the trials of an arm, one per seed; None for those without a record."""
        trained = self.tuning.trained(arm)
        if trained is None:
            return []
        keys = [self.trial_key(trained, seed) for seed in self.space.search.seeds]
        return [self.records.trials.get(key) for key in keys]

    def _mean(self, arm: Arm, metric: str) -> float | None:
        """Return the mean of a trained metric over the seeds; None unless all are COMPLETE."""
        trials = self._trials(arm)
        values = [
            metrics[metric]
            for t in trials
            if t is not None and t.state is State.COMPLETE
            for metrics in (self.records.metrics(t, self.space.bands),)
            if metric in metrics
        ]
        return statistics.fmean(values) if values and len(values) == len(trials) else None

    def _excess(self, constraint: Constraint, arm: Arm) -> float | None:
        """Return the excess of a metric known before training over its bounds; None if unknown.

        For a timed metric, the least over its interval.
        """
        name, baseline = constraint.metric, self._baseline_value(constraint)
        if constraint.static:
            return constraint.excess(self.static(arm.candidate)[name], baseline)
        measured = self.timing(arm) if constraint.timed else {}
        ends = (measured.get(end) for end in (name, f"{name}.low", f"{name}.high"))
        return min((constraint.excess(v, baseline) for v in ends if v is not None), default=None)

    def _baseline_value(self, constraint: Constraint) -> float | None:
        return None if self.baseline is None else self.objective(self.baseline, constraint.metric)
