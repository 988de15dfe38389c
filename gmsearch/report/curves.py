"""The facts of the learning curves: mean and spread over the seeds, epoch by epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.shown import ShownMetric
from gmsearch.stats import Summary, summarise


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One arm in one metric: a point for every epoch that was measured."""

    arm: ArmFacts
    epochs: tuple[int, ...]
    points: tuple[Summary, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """All arms in one metric."""

    metric: ShownMetric
    curves: tuple[Curve, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CurveFacts:
    """Facts of the curves section."""

    study: StudyFacts
    splits: tuple[str, ...]
    """The splits the accuracies were measured on; one, unless the study was changed midway."""
    panels: tuple[Panel, ...]
    """train_loss and top1 first, then the bands; metrics without points are left out."""
    preferred: tuple[ArmFacts, ...] = ()
    """Arms that get a colour of their own when there are more arms than colours."""


def trace(
    study: StudyFacts,
    histories: Mapping[str, Mapping[str, Any]],
    preferred: Sequence[ArmFacts] = (),
) -> CurveFacts:
    """Average the histories, given by trial key, over the seeds of each arm."""
    used = [histories[key] for arm in study.arms for key in arm.keys.values() if key in histories]
    panels = []
    for name in ("train_loss", "top1", *study.space.bands.metrics):
        curves = tuple(c for arm in study.measured if (c := _curve(arm, name, histories)).epochs)
        if curves:
            panels.append(Panel(metric=study.metric(name), curves=curves))
    return CurveFacts(
        study=study,
        splits=tuple(sorted({history["split"] for history in used})),
        panels=tuple(panels),
        preferred=tuple(preferred),
    )


def _curve(arm: ArmFacts, name: str, histories: Mapping[str, Mapping[str, Any]]) -> Curve:
    values: dict[int, list[float]] = {}
    for key in arm.keys.values():
        history = histories.get(key, {})
        for epoch, value in zip(history.get("epoch", []), history.get(name, []), strict=False):
            if value is not None:
                values.setdefault(epoch, []).append(value)
    epochs = tuple(sorted(values))
    return Curve(arm=arm, epochs=epochs, points=tuple(summarise(values[e]) for e in epochs))
