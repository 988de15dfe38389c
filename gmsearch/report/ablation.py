"""The facts of an ablation: every arm against the baseline, paired by seed, metric by metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gmsearch import stats
from gmsearch.metrics import STATIC_METRICS, is_trained, majority
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.metrics import Metric
from gmsearch.stats import Paired, Summary

TOO_SMALL = "n too small"
"""The verdict where no data whatever could reach 0.05 with so few seeds."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One arm in one metric."""

    arm: ArmFacts
    summary: Summary | None
    """Over all its seeds; None where it was not measured."""
    paired: Paired | None
    """Against the baseline, over the seeds both have; None for the baseline itself."""
    p: float | None
    """Of the exact paired test, after Holm over the arms of this metric."""
    verdict: str
    """baseline, better, worse, undecided, n too small, or empty where nothing is compared."""
    majority: float | None
    """Largest share of one predicted class on these images, mean over the seeds."""
    sign_changes: bool
    """Whether another version of this side of the spectrum gives the effect the other sign."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """All arms in one trained metric."""

    metric: Metric
    rows: tuple[Row, ...]
    comparisons: int
    needed: int
    """Seeds with which so many comparisons can be decided at all."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """One arm in one cost; it has no seeds, so its difference is plain."""

    arm: ArmFacts
    value: float | None
    interval: tuple[float, float] | None
    """Of the timing blocks, for a latency or a throughput."""
    difference: float | None
    """To the baseline."""
    difference_interval: tuple[float, float] | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CostBlock:
    """All arms in one cost."""

    metric: Metric
    costs: tuple[Cost, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SignChange:
    """An arm whose effect on one side of the spectrum has no one sign."""

    arm: ArmFacts
    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AblationFacts:
    """What the ablation tables are made from."""

    study: StudyFacts
    blocks: tuple[Block, ...]
    costs: tuple[CostBlock, ...]
    sign_changes: tuple[SignChange, ...]


def ablate(study: StudyFacts) -> AblationFacts:
    """Compare every arm with the baseline; without one, the arms stand side by side."""
    measured = {name for arm in study.arms for trial in arm.trials.values() for name in trial}
    objectives = [objective.metric for objective in study.space.objectives]
    wanted = dict.fromkeys(
        [
            *("top1", "nodc"),
            *study.space.bands.metrics,
            *filter(is_trained, objectives),
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
        blocks=tuple(_block(study, name, changes) for name in names),
        costs=tuple(_cost_block(study, name) for name in costs if name in measured | timed),
        sign_changes=tuple(changes),
    )


def _block(study: StudyFacts, name: str, changes: Sequence[SignChange]) -> Block:
    metric, baseline = study.metric(name), study.baseline
    pairs: dict[str, Paired] = {}
    for arm in study.arms:
        if baseline is not None and not arm.baseline:
            found = stats.paired(arm.by_seed(name), baseline.by_seed(name))
            if found is not None:
                pairs[arm.digest] = found
    compared = list(pairs.values())
    adjusted = dict(zip(pairs, stats.holm([pair.p for pair in compared]), strict=True))
    decidable = dict(zip(pairs, stats.decidable([pair.n for pair in compared]), strict=True))
    changed = {c.arm.digest for c in changes if name in (*c.positive, *c.negative)}
    rows = tuple(
        Row(
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
            ),
            majority=arm.mean(share) if (share := majority(name)) else None,
            sign_changes=arm.digest in changed,
        )
        for arm in study.arms
    )
    return Block(
        metric=metric,
        rows=rows,
        comparisons=len(pairs),
        needed=stats.pairs_needed(len(pairs)),
    )


def _verdict(metric: Metric, pair: Paired | None, p: float | None, *, decidable: bool) -> str:
    if pair is None or p is None:
        return ""
    if not decidable:
        return TOO_SMALL
    if p > stats.ALPHA:
        return "undecided"
    return "better" if (pair.difference > 0) == metric.maximize else "worse"


def _sides(names: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the versions that lost the low frequencies, the high ones, and the mean alone.

    Under whatever protocol they were measured.
    """
    low = [name for name in names if name.startswith(("low@", "band@0:"))]
    high = [n for n in names if n not in low and n.startswith(("high@", "band@"))]
    return high, low, [name for name in names if name.startswith("nodc")]


def _sign_changes(study: StudyFacts, names: Sequence[str]) -> list[SignChange]:
    baseline = study.baseline
    found = []
    for arm in study.measured:
        if baseline is None or arm.baseline:
            continue
        pairs = {n: stats.paired(arm.by_seed(n), baseline.by_seed(n)) for n in names}
        effects = {name: pair.difference for name, pair in pairs.items() if pair is not None}
        positive = tuple(name for name, effect in effects.items() if effect > 0)
        negative = tuple(name for name, effect in effects.items() if effect < 0)
        if positive and negative:
            found.append(SignChange(arm=arm, positive=positive, negative=negative))
    return found


def _cost_block(study: StudyFacts, name: str) -> CostBlock:
    baseline = study.baseline
    costs = []
    for arm in study.arms:
        value = arm.cost(name)
        other = baseline.cost(name) if baseline is not None and not arm.baseline else None
        interval = _interval(arm, name)
        others = None if baseline is None else _interval(baseline, name)
        difference = None if value is None or other is None else value - other
        spread = None
        if value is not None and other is not None and interval and others:
            spread = stats.difference_interval(value, interval, other, others)
        costs.append(
            Cost(
                arm=arm,
                value=value,
                interval=interval,
                difference=difference,
                difference_interval=spread,
            )
        )
    return CostBlock(metric=study.metric(name), costs=tuple(costs))


def _interval(arm: ArmFacts, name: str) -> tuple[float, float] | None:
    found = arm.timings.get(name)
    if found is None or found.low is None or found.high is None:
        return None
    return found.low, found.high
