"""The sections that name metrics: `objectives` and `constraints`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from gmsearch.errors import FieldError
from gmsearch.experiment import Bands, Bound, Constraint, Objective, timed
from gmsearch.metrics import TIMED_METRICS, names, names_on
from gmsearch.spacefile.mistakes import Mistakes, near_miss
from gmsearch.spacefile.nodes import Node
from gmsearch.spacefile.sections import Bounds, Direction, validated
from gmsearch.wording import near, shown

_BAND_METRIC = re.compile(r"(low|high|band)@(.*)")
_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


def objectives_from(node: Node, bands: Bands | None, mistakes: Mistakes) -> tuple[Objective, ...]:
    """Return the objectives in the order of the file; `bands` is None where it has mistakes."""
    if not node.mapping:
        mistakes.add(
            node.key, "objectives: names no metric; write {METRIC: maximize} or {METRIC: minimize}"
        )
    objectives = []
    for metric, child in _metrics(node, "objectives", bands, mistakes):
        direction = next((d for d in _DIRECTIONS if d == child.value), None)
        if direction is None:
            guess = near_miss(child.value, {"enum": list(_DIRECTIONS)})
            mistakes.add(
                child.place,
                f"objectives.{metric}: {shown(child.plain())} is not maximize or minimize{guess}",
            )
        else:
            objectives.append(Objective(metric=metric, direction=direction))
    return tuple(objectives)


def constraints_from(
    node: Node, bands: Bands | None, mistakes: Mistakes
) -> tuple[Constraint, ...]:
    """Return the constraints in the order of the file."""
    if not isinstance(node.value, Mapping):
        mistakes.add(
            node.place,
            f"constraints: {shown(node.plain())} is not a mapping {{METRIC: {{max: NUMBER}}}}",
        )
    constraints = []
    for metric, child in _metrics(node, "constraints", bands, mistakes):
        path = f"constraints.{metric}"
        bounds = validated(Bounds, child, path, mistakes)
        if bounds is None:
            continue
        low, high = _bound(bounds["min"]), _bound(bounds["max"])
        try:
            constraints.append(Constraint(metric=metric, minimum=low, maximum=high))
        except FieldError as error:
            place = child.key if low is None else child.place
            mistakes.add(place, f"{path}: {error.message}")
    return tuple(constraints)


def _bound(said: float | str | None) -> Bound | None:
    if said is None:
        return None
    if isinstance(said, str):
        return Bound(value=float(said.split("x")[0]), of_baseline=True)
    return Bound(value=float(said))


def _metrics(
    node: Node, section: str, bands: Bands | None, mistakes: Mistakes
) -> Iterator[tuple[str, Node]]:
    """Yield the metrics there are; a band metric passes unseen where the bands are mistaken."""
    known: Sequence[str] = (*names(), *names_on(bands.metrics if bands else ()))
    for metric, child in node.mapping.items():
        band = _BAND_METRIC.fullmatch(metric)
        timing = timed(metric)
        usual = timing and timing[1].name(timing[0])
        if metric in (*known, usual) or (band and bands is None):
            yield metric, child
        elif usual:
            mistakes.add(
                node.keys[metric], f"{section}: {metric!r} is written {usual!r}; write it so"
            )
        elif metric.startswith(tuple(f"{name}@" for name in TIMED_METRICS)):
            mistakes.add(
                node.keys[metric],
                f"{section}: {metric!r} is not measured; behind the @ stand b and the batch size, "
                "then .compiled or .graph, then .bfloat16, as far as wanted: @b64.compiled",
            )
        elif band and (remedy := _band_remedy(band, known)):
            mistakes.add(node.keys[metric], f"{section}: {metric!r} is not measured; {remedy}")
        else:
            mistakes.add(
                node.keys[metric], f"{section}: {metric!r} is not a metric; {near(metric, known)}"
            )


def _band_remedy(band: re.Match[str], known: Sequence[str]) -> str:
    side, where = band.groups()
    try:
        numbers = [float(part) for part in where.split(":")]
    except ValueError:
        return ""
    spelling = f"{side}@{':'.join(f'{number:g}' for number in numbers)}"
    if spelling in known:
        return f"write it {spelling!r}"
    if side == "band":
        return f"add [{where.replace(':', ', ')}] to `bands.ranges`"
    return f"add {where} to `bands.radii`"
