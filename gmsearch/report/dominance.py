"""The facts of a front: dominance between means over comparable seeds, and how certain it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gmsearch import pareto
from gmsearch.comparable import Comparable, comparable
from gmsearch.experiment import Constraint
from gmsearch.metrics import is_trained
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.shown import ShownMetric
from gmsearch.stats import Summary, summarise

DRAWS = 1000
"""Bootstrap draws behind the probability of being on the front."""

FEWEST_SEEDS = 5
"""With fewer seeds, resampling them says nothing about other seeds."""

_DRAWS_AT_ONCE = 100
_NORMAL_95 = 1.959963984540054


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One objective."""

    metric: ShownMetric
    """The metric that decides dominance: on the holdout after a search, else on evaluation."""
    shown: ShownMetric
    """The metric on the evaluation split, for tables and figures."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One feasible arm with all objectives measured."""

    arm: ArmFacts
    judged: tuple[Summary, ...]
    """Per objective, over the seeds it is judged by; means adjusted where those differ."""
    shown: tuple[Summary | None, ...]
    n: int
    on_front: bool
    probability: float | None
    """Share of the bootstrap draws in which it is on the front; None from fewer than five seeds,
    or where seeds differ."""
    knee: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """How much of the box between the ideal and the reference point the front dominates."""

    share: float
    ideal: Mapping[str, float]
    """Best value of each objective that varies, over all points."""
    reference: Mapping[str, float]
    """Worst value, and a tenth of the range beyond."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FrontFacts:
    """Facts of the front, for its tables and figures."""

    study: StudyFacts
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    """Front first, then by the first objective, best first."""
    volume: Volume | None
    """None where fewer than two objectives vary."""
    constant: tuple[str, ...]
    """Objectives with one value for all of several points."""
    left_out: tuple[tuple[ArmFacts, str], ...]
    """Arms with trials that are not among the points, and why."""
    compared: Comparable[str]
    """Over which seeds the points, by digest, are compared."""

    @property
    def members(self) -> tuple[Point, ...]:
        """The points on the front."""
        return tuple(point for point in self.points if point.on_front)


def find_front(study: StudyFacts) -> FrontFacts:
    """Find the front over the declared objectives among feasible arms with COMPLETE trials."""
    axes = tuple(
        Axis(
            metric=study.metric(study.chosen_by(objective.metric)),
            shown=study.metric(objective.metric),
        )
        for objective in study.space.objectives
    )
    left_out = []
    feasible = []
    for arm in study.arms:
        reason = _reason_against(study, axes, arm)
        if reason is None:
            feasible.append(arm)
        else:
            left_out.append((arm, reason))
    compared = comparable({arm.digest: _seeds(axes, arm) for arm in feasible})
    left_out += [
        (arm, compared.left_out[arm.digest]) for arm in feasible if arm.digest in compared.left_out
    ]
    points = _points(axes, [arm for arm in feasible if arm.digest in compared.seeds], compared)
    values = _minimised(axes, [point.judged for point in points])
    varies = np.ptp(values, axis=0) > 0 if points else np.zeros(len(axes), dtype=bool)
    several = len(points) > 1
    return FrontFacts(
        study=study,
        axes=axes,
        points=points,
        volume=_volume(axes, values, varies) if varies.sum() > 1 else None,
        constant=tuple(
            axis.metric.name for axis, v in zip(axes, varies, strict=True) if several and not v
        ),
        left_out=tuple(left_out),
        compared=compared,
    )


def _summaries(
    metric: ShownMetric, arms: Sequence[ArmFacts], compared: Comparable[str]
) -> list[Summary | None]:
    """Return an objective of each arm over the seeds it is judged by, with the sd of its own.

    None for all where one of them lacks it.
    """
    if not metric.trained:
        return [arm.summary(metric.name) for arm in arms]
    values = {arm.digest: arm.by_seed(metric.name) for arm in arms}
    if not all(values[arm.digest].keys() >= set(compared.seeds[arm.digest]) for arm in arms):
        return [None] * len(arms)
    means = compared.means(values)
    return [
        dataclasses.replace(
            summarise([values[arm.digest][seed] for seed in compared.seeds[arm.digest]]),
            mean=means[arm.digest],
        )
        for arm in arms
    ]


def _reason_against(study: StudyFacts, axes: Sequence[Axis], arm: ArmFacts) -> str | None:
    if not arm.trials:
        return "no trial completed"
    names = [axis.metric.name for axis in axes]
    unmeasured = [name for name in names if arm.mean(name) is None]
    if unmeasured:
        return f"{', '.join(unmeasured)} not measured"
    if not _seeds(axes, arm):
        return "no seed has all objectives"
    for constraint in study.space.constraints:
        reason = _broken(study, constraint, arm)
        if reason is not None:
            return reason
    return None


def _seeds(axes: Sequence[Axis], arm: ArmFacts) -> list[int]:
    """Return the seeds that have all trained objectives; one that stands for all if none is."""
    trained = [axis.metric.name for axis in axes if axis.metric.trained]
    if not trained:
        return [0]
    return [seed for seed, m in arm.trials.items() if all(name in m for name in trained)]


def _broken(study: StudyFacts, constraint: Constraint, arm: ArmFacts) -> str | None:
    """Return how an arm breaks a constraint; a timing breaks one only with its whole interval."""
    name = study.chosen_by(constraint.metric)
    value = arm.mean(name)
    if value is None:
        return f"{constraint} cannot be judged: {name} not measured"
    possible = [value]
    if name in arm.timings:
        ends = (arm.timings[name].low, arm.timings[name].high)
        possible += [end for end in ends if end is not None]
    baseline = study.baseline.mean(name) if study.baseline is not None else None
    if constraint.of_baseline and study.baseline is not None and is_trained(name):
        own, others = arm.by_seed(name), study.baseline.by_seed(name)
        shared = sorted(own.keys() & others.keys())
        if not shared:
            return f"{constraint} cannot be judged: no seed in common with the baseline"
        possible = [summarise([own[seed] for seed in shared]).mean]
        baseline = summarise([others[seed] for seed in shared]).mean
    excess = min(constraint.excess(v, baseline) for v in possible)
    split = " on the holdout" if name != constraint.metric else ""
    return f"breaks {constraint}{split}" if excess > 0 else None


def _points(
    axes: Sequence[Axis], arms: Sequence[ArmFacts], compared: Comparable[str]
) -> tuple[Point, ...]:
    if not arms:
        return ()
    judged = _rows([_summaries(axis.metric, arms, compared) for axis in axes])
    shown = _rows([_summaries(axis.shown, arms, compared) for axis in axes])
    means = [[summary for summary in row if summary is not None] for row in judged]
    values = _minimised(axes, means)
    mask = pareto.front(values)
    members = np.flatnonzero(mask)
    knee = pareto.knee(values[members]) if compared.fair else None
    chances = _probabilities(axes, arms, compared)
    trained = any(axis.metric.trained for axis in axes)
    points = [
        Point(
            arm=arm,
            judged=tuple(means[i]),
            shown=shown[i],
            n=len(compared.seeds[arm.digest]) if trained else len(arm.trials),
            on_front=bool(mask[i]),
            probability=chances[i],
            knee=knee is not None and members[knee] == i,
        )
        for i, arm in enumerate(arms)
    ]
    order = sorted(range(len(arms)), key=lambda i: (not mask[i], *values[i], arms[i].label))
    return tuple(points[i] for i in order)


def _rows(columns: Sequence[Sequence[Summary | None]]) -> list[tuple[Summary | None, ...]]:
    return list(zip(*columns, strict=True))


def _minimised(axes: Sequence[Axis], judged: Sequence[Sequence[Summary]]) -> pareto.Floats:
    signs = np.array([axis.metric.sign for axis in axes], dtype=float)
    means = [[summary.mean for summary in row] for row in judged]
    values: pareto.Floats = np.array(means, dtype=float).reshape(len(judged), len(axes)) * signs
    return values


def _probabilities(
    axes: Sequence[Axis], arms: Sequence[ArmFacts], compared: Comparable[str]
) -> list[float | None]:
    """Return how often each arm is on the front when seeds and timings are resampled.

    None for all where they are judged by different seeds, or by too few.
    """
    seeds = compared.seeds[arms[0].digest]
    few = any(axis.metric.trained for axis in axes) and len(seeds) < FEWEST_SEEDS
    if few or not compared.fair:
        return [None] * len(arms)
    generator = np.random.default_rng(0)
    values = np.empty((len(seeds), len(arms), len(axes)))
    noise = np.zeros((len(arms), len(axes)))
    for i, arm in enumerate(arms):
        for j, axis in enumerate(axes):
            trained, name = axis.metric.trained, axis.metric.name
            values[:, i, j] = [arm.trials[s][name] for s in seeds] if trained else arm.mean(name)
            timing = arm.timings.get(name)
            if timing is not None and timing.low is not None and timing.high is not None:
                noise[i, j] = (timing.high - timing.low) / (2 * _NORMAL_95)
    values *= np.array([axis.metric.sign for axis in axes])

    def draws() -> Iterator[pareto.Floats]:
        for _ in range(DRAWS // _DRAWS_AT_ONCE):
            means = pareto.resampled_means(values, _DRAWS_AT_ONCE, generator)
            yield from means + noise * generator.standard_normal(means.shape)

    return [float(share) for share in pareto.front_probability(draws())]


def _volume(axes: Sequence[Axis], values: pareto.Floats, varies: pareto.Mask) -> Volume:
    points = values[:, varies]
    ideal, reference = points.min(axis=0), pareto.reference_point(points)
    volume = pareto.hypervolume(points, reference)
    metrics = [axis.metric for axis, v in zip(axes, varies, strict=True) if v]
    return Volume(
        share=volume / float(np.prod(reference - ideal)),
        ideal={m.name: float(v * m.sign) for m, v in zip(metrics, ideal, strict=True)},
        reference={m.name: float(v * m.sign) for m, v in zip(metrics, reference, strict=True)},
    )
