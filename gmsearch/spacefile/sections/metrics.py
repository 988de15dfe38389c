"""The sections that name metrics: `objectives` and `constraints`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from gmsearch.errors import FieldError
from gmsearch.experiment import TIMED_NAME, Bands, Bound, Constraint, Objective, timed
from gmsearch.limits import Text
from gmsearch.metrics import TIMED_METRICS, band_pattern, lookup, names, names_on
from gmsearch.spacefile.fields import report_type_errors
from gmsearch.spacefile.values import read_section, section_schema
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import near, shown

Direction = Literal["maximize", "minimize"]
Multiple = Annotated[
    str,
    Text(
        pattern=r"[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*x\s*baseline",
        words="a multiple such as `1.2 x baseline`",
    ),
]

_BAND_METRIC = re.compile(r"(low|high|band)@(.*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """The values of a metric that are allowed, both ends included."""

    min: float | Multiple | None = None
    """A number, or a multiple of the baseline's value."""

    max: float | Multiple | None = None
    """A number, or a multiple of the baseline's value."""


def read_objectives(node: Node, bands: Bands | None) -> tuple[Objective, ...]:
    """Return the objectives in the order of the file; `bands` is None where they are wrong."""
    if not node.mapping:
        node.wrong(
            "expected at least one metric; write {METRIC: maximize} or {METRIC: minimize}",
            node.key,
        )
    objectives = []
    for metric, child in _metrics(node, bands):
        if not report_type_errors(child, Direction, "maximize or minimize"):
            direction: Any = child.value
            objectives.append(Objective(metric=metric, direction=direction))
    return tuple(objectives)


def read_constraints(node: Node, bands: Bands | None) -> tuple[Constraint, ...]:
    """Return the constraints in the order of the file."""
    if not isinstance(node.value, Mapping):
        node.wrong(f"expected a mapping {{METRIC: {{max: NUMBER}}}}, got {shown(node.plain())}")
    constraints = []
    for metric, child in _metrics(node, bands):
        bounds: Bounds | None = read_section(child, Bounds)
        if bounds is None:
            continue
        low, high = _bound(bounds.min), _bound(bounds.max)
        try:
            constraints.append(Constraint(metric=metric, minimum=low, maximum=high))
        except FieldError as error:
            child.wrong(error.message, child.key if low is None else child.position)
    return tuple(constraints)


def _bound(spelled: float | str | None) -> Bound | None:
    if spelled is None:
        return None
    if isinstance(spelled, str):
        return Bound(value=float(spelled.split("x")[0]), of_baseline=True)
    return Bound(value=float(spelled))


def _metrics(node: Node, bands: Bands | None) -> Iterator[tuple[str, Node]]:
    """Yield the known metrics; where the bands are wrong, every band metric counts as known."""
    known: Sequence[str] = (*names(), *names_on(bands.metrics if bands else ()))
    for metric, child in node.mapping.items():
        band = _BAND_METRIC.fullmatch(metric)
        timing = timed(metric)
        usual = timing and timing[1].name(timing[0])
        if metric in (*known, usual) or (band and bands is None):
            yield metric, child
        else:
            node.wrong(_unknown(metric, band, usual, known), node.keys[metric])


def _unknown(
    metric: str, band: re.Match[str] | None, usual: str | None, known: Sequence[str]
) -> str:
    """Return the error in the name of a metric."""
    if usual:
        return f"{metric!r} is spelled {usual!r}; write it so"
    if metric.startswith(tuple(f"{name}@" for name in TIMED_METRICS)):
        return (
            f"{metric!r} is not measured; after the @ write b and the batch size, then .compiled "
            "or .graph, then .bfloat16, each only where wanted: @b64.compiled"
        )
    if band and (remedy := _band_remedy(band, known)):
        return f"{metric!r} is not measured; {remedy}"
    return f"{metric!r} is not a metric; {near(metric, known)}"


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


def objectives_schema() -> dict[str, Any]:
    """Return the JSON Schema of `objectives`."""
    example = {"top1": "maximize", "high@10": "maximize", "latency_ms": "minimize"}
    direction = {"enum": list(get_args(Direction))}
    return {**_by_metric(direction), "minProperties": 1, "examples": [example]}


def constraints_schema() -> dict[str, Any]:
    """Return the JSON Schema of `constraints`, which refers to that of `bounds_schema`."""
    return _by_metric({"$ref": "#/$defs/bounds"})


def bounds_schema() -> dict[str, Any]:
    """Return the JSON Schema of the bounds of one metric."""
    return {**section_schema(Bounds), "minProperties": 1}


def _by_metric(part: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a mapping from metrics to `part`."""
    return {
        "type": "object",
        "properties": {name: {**part, "description": lookup(name).text} for name in names()},
        "patternProperties": {f"^(?:{band_pattern()}|{TIMED_NAME})$": part},
        "additionalProperties": False,
    }
