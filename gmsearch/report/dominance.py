"""The facts of a front: dominance between means over the seeds, and how certain it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gmsearch import pareto
from gmsearch.experiment import Constraint
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.shown import ShownMetric
from gmsearch.stats import Summary, summarise

DRAWS = 1000
"""Bootstrap draws behind the probability of being on the front."""

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
    """Per objective, over the seeds that have all of them."""
    shown: tuple[Summary | None, ...]
    n: int
    on_front: bool
    probability: float | None
    """Share of the bootstrap draws in which it is on the front; None from a single seed."""
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
    judged: dict[str, tuple[Summary, ...]] = {}
    left_out = []
    for arm in study.arms:
        means = _judged(axes, arm)
        reason = _reason_against(study, axes, arm, means)
        if reason is None:
            judged[arm.digest] = tuple(means[axis.metric.name] for axis in axes)
        else:
            left_out.append((arm, reason))
    points = _points(axes, [arm for arm in study.arms if arm.digest in judged], judged)
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
    )


def _judged(axes: Sequence[Axis], arm: ArmFacts) -> dict[str, Summary]:
    """Return the known objectives, over the seeds that have all trained ones."""
    seeds, means = _seeds(axes, arm), {}
    for name, trained in ((axis.metric.name, axis.metric.trained) for axis in axes):
        summary = None if trained else arm.summary(name)
        if trained and seeds:
            summary = summarise([arm.trials[seed][name] for seed in seeds])
        if summary is not None:
            means[name] = summary
    return means


def _reason_against(
    study: StudyFacts, axes: Sequence[Axis], arm: ArmFacts, known: Mapping[str, Summary]
) -> str | None:
    if not arm.trials:
        return "no trial completed"
    names = [axis.metric.name for axis in axes]
    unmeasured = [name for name in names if arm.mean(name) is None]
    if unmeasured:
        return f"{', '.join(unmeasured)} not measured"
    if len(known) < len(names):
        return "no seed has all objectives"
    for constraint in study.space.constraints:
        reason = _broken(study, constraint, arm)
        if reason is not None:
            return reason
    return None


def _seeds(axes: Sequence[Axis], arm: ArmFacts) -> list[int]:
    trained = [axis.metric.name for axis in axes if axis.metric.trained]
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
    excess = min(constraint.excess(v, baseline) for v in possible)
    split = " on the holdout" if name != constraint.metric else ""
    return f"breaks {constraint}{split}" if excess > 0 else None


def _points(
    axes: Sequence[Axis], arms: Sequence[ArmFacts], means: Mapping[str, tuple[Summary, ...]]
) -> tuple[Point, ...]:
    if not arms:
        return ()
    judged = [means[arm.digest] for arm in arms]
    values = _minimised(axes, judged)
    mask = pareto.front(values)
    members = np.flatnonzero(mask)
    knee = pareto.knee(values[members])
    chances = _probabilities(axes, arms)
    points = [
        Point(
            arm=arm,
            judged=judged[i],
            shown=tuple(arm.summary(axis.shown.name) for axis in axes),
            n=len(_seeds(axes, arm)),
            on_front=bool(mask[i]),
            probability=chances[i],
            knee=knee is not None and members[knee] == i,
        )
        for i, arm in enumerate(arms)
    ]
    order = sorted(range(len(arms)), key=lambda i: (not mask[i], *values[i], arms[i].label))
    return tuple(points[i] for i in order)


def _minimised(axes: Sequence[Axis], judged: Sequence[Sequence[Summary]]) -> pareto.Floats:
    signs = np.array([axis.metric.sign for axis in axes], dtype=float)
    means = [[summary.mean for summary in row] for row in judged]
    values: pareto.Floats = np.array(means, dtype=float).reshape(len(judged), len(axes)) * signs
    return values


def _probabilities(axes: Sequence[Axis], arms: Sequence[ArmFacts]) -> list[float | None]:
    """Return how often each arm is on the front when seeds and timings are resampled."""
    seeds = sorted({seed for arm in arms for seed in _seeds(axes, arm)})
    generator = np.random.default_rng(0)
    values = np.full((len(seeds), len(arms), len(axes)), np.nan)
    noise = np.zeros((len(arms), len(axes)))
    for i, arm in enumerate(arms):
        own = _seeds(axes, arm)
        rows = [seeds.index(seed) for seed in own]
        for j, axis in enumerate(axes):
            trained, name = axis.metric.trained, axis.metric.name
            values[rows, i, j] = [arm.trials[s][name] for s in own] if trained else arm.mean(name)
            timing = arm.timings.get(name)
            if timing is not None and timing.low is not None and timing.high is not None:
                noise[i, j] = (timing.high - timing.low) / (2 * _NORMAL_95)
    values *= np.array([axis.metric.sign for axis in axes])

    def draws() -> Iterator[pareto.Floats]:
        for _ in range(DRAWS // _DRAWS_AT_ONCE):
            means = pareto.resampled_means(values, _DRAWS_AT_ONCE, generator)
            yield from means + noise * generator.standard_normal(means.shape)

    shares = pareto.front_probability(draws())
    several = [len(_seeds(axes, arm)) > 1 for arm in arms]
    return [float(p) if enough else None for p, enough in zip(shares, several, strict=True)]


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
