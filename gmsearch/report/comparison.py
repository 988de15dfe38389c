"""The facts of an ablation: every arm against the baseline, paired by seed, metric by metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gmsearch import stats
from gmsearch.metrics import STATIC_METRICS, is_trained, majority, names_per_version
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.shown import ShownMetric
from gmsearch.stats import Paired, Summary

TOO_SMALL = "n too small"
"""The verdict where so few seeds cannot reach p = 0.05, whatever the data."""

NO_COMMON_SEED = "no common seed"
"""The verdict where an arm and the baseline have no seed in common."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ArmComparison:
    """One arm in one metric."""

    arm: ArmFacts
    summary: Summary | None
    """Summary over all its seeds; None if it was not measured."""
    paired: Paired | None
    """Comparison with the baseline over the seeds both have; None for the baseline itself."""
    p: float | None
    """p of the exact paired test, Holm-corrected over the arms of this metric."""
    verdict: str
    """baseline, better, worse, undecided, n too small, no common seed, or empty without a
    baseline or a value."""
    majority: float | None
    """Largest share of one predicted class on these images, mean over the seeds."""
    sign_changes: bool
    """Whether the sign of the effect depends on the band's radius or protocol, beyond noise."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MetricComparison:
    """All arms in one trained metric."""

    metric: ShownMetric
    arms: tuple[ArmComparison, ...]
    fair: bool
    """Whether all arms have the same seeds, so that a best mean can be marked."""
    comparisons: int
    needed: int
    """Smallest number of seeds with which so many comparisons can be decided."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ArmCost:
    """One arm in one cost, which has no seeds: its difference has no test."""

    arm: ArmFacts
    value: float | None
    interval: tuple[float, float] | None
    """95 % interval over the timing blocks, for a latency or a throughput."""
    ratio: float | None
    """A latency as a multiple of the reference network's."""
    disturbed: bool
    """Whether its timing was disturbed."""
    difference: float | None
    """Difference to the baseline."""
    difference_interval: tuple[float, float] | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MetricCosts:
    """All arms in one cost."""

    metric: ShownMetric
    arms: tuple[ArmCost, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SignChange:
    """An arm whose effect on one side of the spectrum has both signs, beyond its intervals."""

    arm: ArmFacts
    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AblationFacts:
    """Facts of the ablation section."""

    study: StudyFacts
    metrics: tuple[MetricComparison, ...]
    costs: tuple[MetricCosts, ...]
    sign_changes: tuple[SignChange, ...]


def compare_arms(study: StudyFacts) -> AblationFacts:
    """Compare every arm with the baseline; without one, list the arms."""
    measured = {name for arm in study.arms for trial in arm.trials.values() for name in trial}
    objectives = [objective.metric for objective in study.space.objectives]
    wanted = dict.fromkeys(
        [
            *("top1", "nodc"),
            *study.space.bands.metrics,
            *filter(is_trained, objectives),
            *names_per_version(),
            *study.later_bands,
        ]
    )
    names = [name for name in wanted if name in measured]
    changes = [c for side in _sides(names) for c in _sign_changes(study, side)]
    asked = [*objectives, *(c.metric for c in study.space.constraints), "latency_ms"]
    timed = {name for arm in study.arms for name in arm.timings}
    costs = (*STATIC_METRICS, *(name for name in dict.fromkeys(asked) if name in timed))
    return AblationFacts(
        study=study,
        metrics=tuple(_metric(study, name, changes) for name in names),
        costs=tuple(_metric_costs(study, name) for name in costs if name in measured | timed),
        sign_changes=tuple(changes),
    )


def _metric(study: StudyFacts, name: str, changes: Sequence[SignChange]) -> MetricComparison:
    metric, baseline = study.metric(name), study.baseline
    pairs: dict[str, Paired] = {}
    for arm in study.arms:
        if baseline is not None and not arm.baseline:
            pair = stats.paired(arm.by_seed(name), baseline.by_seed(name))
            if pair is not None:
                pairs[arm.digest] = pair
    compared = list(pairs.values())
    adjusted = dict(zip(pairs, stats.holm([pair.p for pair in compared]), strict=True))
    decidable = dict(zip(pairs, stats.decidable([pair.n for pair in compared]), strict=True))
    changed = {c.arm.digest for c in changes if name in (*c.positive, *c.negative)}
    arms = tuple(
        ArmComparison(
            arm=arm,
            summary=arm.summary(name),
            paired=pairs.get(arm.digest),
            p=adjusted.get(arm.digest),
            verdict="baseline"
            if arm.baseline
            else _verdict(
                metric,
                pairs.get(arm.digest),
                adjusted.get(arm.digest),
                decidable=decidable.get(arm.digest, False),
                apart=baseline is not None and bool(arm.by_seed(name)),
            ),
            majority=arm.mean(share) if (share := majority(name)) else None,
            sign_changes=arm.digest in changed,
        )
        for arm in study.arms
    )
    return MetricComparison(
        metric=metric,
        arms=arms,
        fair=len({frozenset(arm.by_seed(name)) for arm in study.measured}) <= 1,
        comparisons=len(pairs),
        needed=stats.pairs_needed(len(pairs)),
    )


def _verdict(
    metric: ShownMetric, pair: Paired | None, p: float | None, *, decidable: bool, apart: bool
) -> str:
    if pair is None or p is None:
        return NO_COMMON_SEED if apart else ""
    if not decidable:
        return TOO_SMALL
    if p > stats.ALPHA:
        return "undecided"
    return "better" if (pair.difference > 0) == metric.maximize else "worse"


def _sides(names: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the metrics on images without low frequencies, without high ones, without the mean.

    Each list holds all radii and protocols.
    """
    low = [name for name in names if name.startswith(("low@", "band@0:"))]
    high = [n for n in names if n not in low and n.startswith(("high@", "band@"))]
    return high, low, [name for name in names if name.startswith("nodc")]


def _sign_changes(study: StudyFacts, names: Sequence[str]) -> list[SignChange]:
    baseline = study.baseline
    changes = []
    for arm in study.measured:
        if baseline is None or arm.baseline:
            continue
        pairs = {n: stats.paired(arm.by_seed(n), baseline.by_seed(n)) for n in names}
        # Only where the 95 % interval excludes 0: the sign of an estimate within noise is noise.
        known = {name: pair for name, pair in pairs.items() if pair is not None}
        positive = tuple(n for n, pair in known.items() if pair.low is not None and pair.low > 0)
        negative = tuple(n for n, pair in known.items() if pair.high is not None and pair.high < 0)
        if positive and negative:
            changes.append(SignChange(arm=arm, positive=positive, negative=negative))
    return changes


def _metric_costs(study: StudyFacts, name: str) -> MetricCosts:
    baseline = study.baseline
    costs = []
    for arm in study.arms:
        value, timing = arm.cost(name), arm.timings.get(name)
        other = baseline.cost(name) if baseline is not None and not arm.baseline else None
        interval = _interval(arm, name)
        others = None if baseline is None else _interval(baseline, name)
        difference = None if value is None or other is None else value - other
        spread = None
        if value is not None and other is not None and interval and others:
            spread = stats.difference_interval(value, interval, other, others)
        costs.append(
            ArmCost(
                arm=arm,
                value=value,
                interval=interval,
                ratio=timing.ratio if timing is not None else None,
                disturbed=timing is not None and timing.disturbed,
                difference=difference,
                difference_interval=spread,
            )
        )
    return MetricCosts(metric=study.metric(name), arms=tuple(costs))


def _interval(arm: ArmFacts, name: str) -> tuple[float, float] | None:
    timing = arm.timings.get(name)
    if timing is None or timing.low is None or timing.high is None:
        return None
    return timing.low, timing.high
