"""The Pareto front over the declared objectives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gmsearch.display import DISTURBED, MISSING
from gmsearch.metrics import HOLDOUT, majority
from gmsearch.report.dominance import DRAWS, FEWEST_SEEDS, Axis, FrontFacts, Point
from gmsearch.report.figures.front import front_figure
from gmsearch.report.section import Section, nothing_to_report
from gmsearch.report.shown import ShownMetric
from gmsearch.report.tables import (
    Cell,
    CsvValue,
    TextTable,
    arm_columns,
    arm_values,
    csv_text,
    ranked,
)

SHOWN_ARMS = 24
"""With more arms, the dominated arms are not shown; the CSV file lists all of them."""

_KNEE = "knee"
_TIMED_COLUMNS = ("low", "high", "ratio", "disturbed")


def front_tables(facts: FrontFacts) -> list[TextTable]:
    """Return the arms by the objectives, the front first; no table without a point."""
    if not facts.points:
        return []
    points = facts.points if len(facts.points) <= SHOWN_ARMS else facts.members
    heading: list[str] = [facts.study.heading]
    columns: list[list[Cell]] = []
    for i, axis in enumerate(facts.axes):
        heading.append(axis.metric.title)
        columns.append(_judged_column(facts, points, i))
        if axis.shown != axis.metric:
            heading.append(axis.shown.title)
            shown = ranked([point.shown[i] for point in points], axis.shown)
            columns.append(_unless_unfair(facts, shown, axis.shown))
    heading += ["n", "P(front)", "front"]
    columns.append([Cell(str(point.n)) for point in points])
    columns.append([Cell(_probability(point)) for point in points])
    columns.append([Cell(_membership(point)) for point in points])
    rows = tuple(
        (
            Cell(f"{point.arm.short} (baseline)" if point.arm.baseline else point.arm.short),
            *(column[i] for column in columns),
        )
        for i, point in enumerate(points)
    )
    title = f"{facts.study.name}: front"
    return [TextTable(title=title, heading=tuple(heading), rows=rows, words=("front",))]


def _judged_column(facts: FrontFacts, points: Sequence[Point], i: int) -> list[Cell]:
    axis = facts.axes[i]
    cells = ranked([point.judged[i] for point in points], axis.metric)
    cells = _unless_unfair(facts, cells, axis.metric)
    column = []
    for point, cell in zip(points, cells, strict=True):
        timing = point.arm.timings.get(axis.metric.name)
        interval = axis.metric.interval(timing.low, timing.high) if timing else ""
        mark = DISTURBED if timing and timing.disturbed else ""
        column.append(Cell(f"{cell.text}{mark} {interval}".rstrip(), cell.rank))
    return column


def _unless_unfair(facts: FrontFacts, cells: Sequence[Cell], metric: ShownMetric) -> list[Cell]:
    """Return the cells, none marked as the best where arms are judged by different seeds."""
    marked = facts.compared.fair or not metric.trained
    return [cell if marked else Cell(cell.text) for cell in cells]


def _probability(point: Point) -> str:
    return MISSING if point.probability is None else f"{point.probability:.2f}"


def _membership(point: Point) -> str:
    if not point.on_front:
        return ""
    return _KNEE if point.knee else "yes"


def front_notes(facts: FrontFacts) -> list[str]:
    """Return the notes that explain the front."""
    if not facts.study.measured:
        return [nothing_to_report(facts.study)]
    return [
        *_size_notes(facts),
        *_seed_notes(facts),
        *(
            _constant_note(facts, axis)
            for axis in facts.axes
            if axis.metric.name in facts.constant
        ),
        *_reading_notes(facts),
        *_hypervolume_notes(facts),
        *_band_controls(facts),
        *(
            f"{count} arm{'s' if count > 1 else ''} left out: {reason}."
            for reason, count in Counter(reason for _, reason in facts.left_out).items()
        ),
    ]


def _size_notes(facts: FrontFacts) -> list[str]:
    notes = []
    if not facts.points:
        notes.append("No feasible arm has every objective measured, so there is no front.")
    elif len(facts.points) == 1:
        notes.append("Only one arm qualifies, so it is the front; nothing was compared.")
    elif len(facts.axes) == 1:
        notes.append("With one objective, the front is the best arm and any that tie with it.")
    if len(facts.points) > SHOWN_ARMS:
        hidden = len(facts.points) - len(facts.members)
        notes.append(f"{hidden} dominated arms are not shown; the CSV file lists all arms.")
    return notes


def _seed_notes(facts: FrontFacts) -> list[str]:
    compared = facts.compared
    few, many = compared.had
    if compared.basis == "equal":
        return []
    if compared.basis == "shared":
        common = next(iter(compared.seeds.values()))
        named = ", ".join(map(str, common))
        return [
            (
                f"The arms have {few} to {many} seeds; the front compares them over the "
                f"{len(common)} that all of them have (seeds {named})."
            )
        ]
    return [
        (
            f"The arms have {few} to {many} seeds and share too few: means are adjusted for "
            "the seeds (least squares, effects of arm and seed); n counts an arm's own. Nothing "
            f"is marked as the best or the {_KNEE}, and P(front) is not given."
        )
    ]


def _constant_note(facts: FrontFacts, axis: Axis) -> str:
    """Return why an objective with one value for all arms decides nothing."""
    metric = axis.metric
    value = metric.with_unit(facts.points[0].judged[facts.axes.index(axis)].mean)
    by_seed = [point.arm.by_seed(metric.name) for point in facts.points]
    if metric.trained and any(values != by_seed[0] for values in by_seed):
        return (
            f"{metric.name} is {value} on average for every arm, though not seed by seed; it has "
            "no influence on the front."
        )
    return (
        f"{metric.name} is the same for every arm: nothing that this study varies affects it, so "
        "it has no influence on the front."
    )


def _reading_notes(facts: FrontFacts) -> list[str]:
    if not facts.points:
        return []
    notes = [
        (
            "Objectives are averaged over the seeds before dominance is decided. P(front): share "
            f"of {DRAWS} bootstrap resamples of seeds (the same for every arm) and timings in "
            f"which the arm is on the front; {MISSING} with fewer than {FEWEST_SEEDS} seeds. "
            "Error bars in the figure: sd over the seeds, or the 95 % interval of a latency."
        )
    ]
    if any(point.knee for point in facts.points):
        notes.append(
            f"{_KNEE}: the arm on the front with the smallest sum of objectives, each scaled to "
            "0..1 over the front."
        )
    return notes


def _hypervolume_notes(facts: FrontFacts) -> list[str]:
    if facts.volume is None:
        return []
    judged = {axis.metric.name: axis.metric for axis in facts.axes}
    ideal, reference = (
        ", ".join(f"{name} {judged[name].with_unit(value)}" for name, value in point.items())
        for point in (facts.volume.ideal, facts.volume.reference)
    )
    return [
        (
            f"Hypervolume: the front dominates {facts.volume.share:.4f} of the box between the "
            f"ideal point ({ideal}) and the reference point ({reference})."
        )
    ]


def _band_controls(facts: FrontFacts) -> list[str]:
    """Return the controls of every band among the objectives, over the arms shown."""
    notes = []
    for axis in facts.axes:
        name = axis.metric.name
        share = majority(name)
        if share is None or "@" not in name:
            continue
        means = {
            control: [value for p in facts.points if (value := p.arm.mean(control)) is not None]
            for control in (share, f"{HOLDOUT if name.startswith(HOLDOUT) else ''}nodc")
        }
        if all(means.values()):
            shares, nodc = (
                f"{100 * min(values):.1f} to {100 * max(values):.1f} %"
                for values in means.values()
            )
            notes.append(
                f"{name}: over the arms, the largest share of one predicted class is {shares}, "
                f"and accuracy on whole images without their mean (nodc) is {nodc}."
            )
    return notes


def front_csv(facts: FrontFacts) -> str:
    """Return one row per arm, those left out at the end with the reason."""
    metrics = list(
        dict.fromkeys(metric.name for axis in facts.axes for metric in (axis.metric, axis.shown))
    )
    columns = ["arm", "label", "baseline", "n", "on_front", "knee", "probability", "left_out"]
    columns += arm_columns(facts.study.arms)
    for name in metrics:
        columns += [name, f"{name}.sd"]
    timed = {name for point in facts.points for name in point.arm.timings}
    intervals = [name for name in metrics if name in timed]
    columns += [f"{name}.{end}" for name in intervals for end in _TIMED_COLUMNS]
    rows = [_csv_row(facts, point, intervals) for point in facts.points]
    rows += [
        {**arm_values(arm), "n": len(arm.trials), "left_out": reason}
        for arm, reason in facts.left_out
    ]
    return csv_text(columns, rows)


def _csv_row(facts: FrontFacts, point: Point, intervals: Sequence[str]) -> dict[str, CsvValue]:
    row = arm_values(point.arm)
    row |= {"n": point.n, "probability": point.probability}
    row |= {"on_front": int(point.on_front), "knee": int(point.knee)}
    for axis, judged, shown in zip(facts.axes, point.judged, point.shown, strict=True):
        for metric, summary in ((axis.shown, shown), (axis.metric, judged)):
            if summary is not None:
                row |= {metric.name: summary.mean, f"{metric.name}.sd": summary.sd}
    for name in intervals:
        if name in point.arm.timings:
            timing = point.arm.timings[name]
            values = (timing.low, timing.high, timing.ratio, int(timing.disturbed))
            row |= {
                f"{name}.{end}": value for end, value in zip(_TIMED_COLUMNS, values, strict=True)
            }
    return row


FRONT = Section(
    name="pareto",
    title="front",
    flags=("pareto",),
    page=True,
    facts=lambda report: report.front,
    tables=front_tables,
    notes=front_notes,
    csv=front_csv,
    figure=front_figure,
)
