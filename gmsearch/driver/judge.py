"""What is known of an arm before training, and whether it may be trained at all."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Mapping
from typing import Any

from gmsearch.cost import Cost, cost
from gmsearch.driver.matching import matched
from gmsearch.driver.tuning import Tuning
from gmsearch.experiment import (
    HOLDOUT,
    STATIC_METRICS,
    Arm,
    Assignment,
    Constraint,
    timed,
    trial_key,
)
from gmsearch.ledger import Records
from gmsearch.networks import Candidate, OwnNetwork, TimmSpec
from gmsearch.plain import digest
from gmsearch.records import State
from gmsearch.search import Outcome
from gmsearch.space import Space


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the driver must know of data and device, found out once per start."""

    data_identity: str
    data_identity_of: str
    """What the identity is a digest of: parameters, bytes, or paths and sizes."""
    mean: tuple[float, float, float]
    """What the pixels are normalised by, per channel, in 0..1; then by `std`."""
    std: tuple[float, float, float]
    classes: int
    resolution: int
    evaluation_images: int
    holdout_images: int
    device: str
    """A torch device string."""
    device_name: str
    """The processor's or the GPU's name; latencies of two names are never mixed."""


class Judge:
    """Static costs, timings and constraints of arms, from the space and the ledger's records."""

    def __init__(self, space: Space, facts: Facts, records: Records) -> None:
        """Keep what is judged by; `records` is read anew at every question."""
        self.space = space
        self.facts = facts
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
            self._matched[digest] = matched_arm(self.space, asked, self.facts)
        return self._matched[digest]

    def static(self, candidate: Candidate) -> Mapping[str, float]:
        """Return the static metrics of `candidate`, counted once."""
        return static_cost(candidate, classes=self.facts.classes, resolution=self.facts.resolution)

    def uncounted(self, arm: Arm) -> list[str]:
        """Return the operators that the static metrics of `arm` leave out."""
        facts = self.facts
        return sorted(
            counted(arm.candidate, classes=facts.classes, resolution=facts.resolution)[1]
        )

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
        excess = mismatch(self.space, arm, self.facts)
        if excess > 0 and self.space.match is not None:
            found[f"match.{self.space.match.metric}"] = excess
        return found

    def timing_key(self, arm: Arm) -> str:
        """Return what a timing belongs to: the candidate, and all that a clock could see."""
        return digest(
            {
                "candidate": arm.candidate.digest,
                "classes": self.facts.classes,
                "resolution": self.facts.resolution,
                "device": self.facts.device_name,
                "threads": self.space.resources.cpus,
            }
        )

    def trial_key(self, arm: Arm, seed: int) -> str:
        """Return the key of the trial of `arm` with `seed`."""
        return trial_key(
            arm,
            data_identity=self.facts.data_identity,
            holdout=self.space.data.holdout,
            seed=seed,
            device_kind=self.facts.device,
        )

    def objective(self, arm: Arm, metric: str) -> float | None:
        """Return what selection sees of `arm`: a metric known before training, or a mean.

        Trained metrics are of the holdout where the method selects. None where a seed is missing.
        """
        known = self.known(arm)
        if metric in known or metric in STATIC_METRICS or timed(metric):
            return known.get(metric)
        return self._mean(arm, f"{HOLDOUT}{metric}" if self.space.selects() else metric)

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
            found.append(mismatch(self.space, arm, self.facts))
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


def infeasible_by_cost(space: Space, arm: Arm, facts: Facts) -> list[str]:
    """Return the constraints on static metrics that `arm` breaks, as one reads them."""
    if space.match is None and not any(c.static for c in space.constraints):
        return []
    arms = [arm, *([space.arm(space.baseline)] if space.baseline is not None else [])]
    own, *base = (_static(one.candidate, facts) for one in arms)
    return [
        str(c)
        for c in space.constraints
        if c.static and c.excess(own[c.metric], base[0][c.metric] if base else None) > 0
    ] + (
        [f"match.{space.match.metric}"] if space.match and mismatch(space, arm, facts) > 0 else []
    )


def matched_arm(space: Space, arm: Arm, facts: Facts) -> Arm:
    """Return the arm with its cost matched to the baseline's, or as near to it as was found."""
    match, candidate = space.match, arm.candidate
    if match is None or space.baseline is None or isinstance(candidate, TimmSpec):
        return arm
    if not hasattr(candidate, match.by):
        return arm
    target = _static(space.arm(space.baseline).candidate, facts)[match.metric]

    def measure(candidate: OwnNetwork) -> float:
        # Not through the cache: what is only tried on the way is not asked for again.
        counted = cost(candidate, num_classes=facts.classes, resolution=facts.resolution)
        return counted.metrics()[match.metric]

    return dataclasses.replace(arm, candidate=matched(candidate, match, target, measure))


def mismatch(space: Space, arm: Arm, facts: Facts) -> float:
    """Return by how much the cost of an arm is farther from the baseline's than `match` allows.

    <= 0 where it is matched, and where nothing is to be matched.
    """
    match = space.match
    if match is None or space.baseline is None:
        return 0.0
    own, target = (
        _static(one.candidate, facts)[match.metric] for one in (arm, space.arm(space.baseline))
    )
    return abs(own - target) - match.tolerance * target


def _static(candidate: Candidate, facts: Facts) -> Mapping[str, float]:
    return static_cost(candidate, classes=facts.classes, resolution=facts.resolution)


def static_cost(candidate: Candidate, *, classes: int, resolution: int) -> Mapping[str, float]:
    """Return the static metrics of any candidate."""
    return counted(candidate, classes=classes, resolution=resolution)[0].metrics()


@functools.cache
def counted(
    candidate: Candidate, *, classes: int, resolution: int
) -> tuple[Cost, Mapping[str, int]]:
    """Return the cost of any candidate, and what it leaves out: operators, with their number.

    Our own families in closed form, a model of timm by `measured_cost`.

    Raises:
        FieldError: timm has no model of the name, or it does not take images of this size.
    """
    if not isinstance(candidate, TimmSpec):
        return cost(candidate, num_classes=classes, resolution=resolution), {}
    # Torch is loaded for a model of timm only; our own families are counted without it.
    from gmsearch.measured_cost import measured_cost
    from gmsearch.models import build

    found, unknown = measured_cost(build(candidate, num_classes=classes, seed=0), resolution)
    return found, {name.removeprefix("aten::"): number for name, number in unknown.items()}
