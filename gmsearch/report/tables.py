"""Tables as plain text cells, made from facts; knows nothing of where they are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from gmsearch.experiment import timed
from gmsearch.report.ablation import AblationFacts, Block, Cost, CostBlock, Row
from gmsearch.report.facts import StudyFacts
from gmsearch.report.front import Axis, FrontFacts, Point
from gmsearch.report.metrics import MINUS, MISSING, Metric
from gmsearch.stats import Summary

SHOWN_ARMS = 24
"""A front of more arms is shown without the dominated ones; the CSV file has them all."""

SIGN_MARK = "‡"
KNEE_MARK = "knee"
DIFFERENCE = "difference [95 %]"

_METRICS_ABREAST = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `rank` 1 is the best of its column, 2 the second, 0 any other."""

    text: str
    rank: Literal[0, 1, 2] = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A title, a heading and rows of cells; the first column is text, the others are numbers."""

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def ablation_tables(facts: AblationFacts) -> list[Table]:
    """Return one table per trained metric, then the costs that differ, then changes of sign."""
    tables = [_block_table(facts.study, block) for block in facts.blocks]
    varying = [block for block in facts.costs if len({cost.value for cost in block.costs}) > 1]
    groups = [[block] for block in varying if timed(block.metric.name)]
    static = [block for block in varying if not timed(block.metric.name)]
    if static:
        groups.append(static)
    tables += [_cost_table(facts.study, blocks) for blocks in groups]
    if facts.sign_changes:
        tables.append(_sign_table(facts))
    return tables


def overview_tables(facts: AblationFacts) -> list[Table]:
    """Return all arms by all trained metrics, a few metrics abreast: means, spreads, verdicts."""
    marks = {"better": "+ ", "worse": f"{MINUS} "}
    tables = []
    for start in range(0, len(facts.blocks), _METRICS_ABREAST):
        blocks = facts.blocks[start : start + _METRICS_ABREAST]
        columns = [_ranked([row.summary for row in b.rows], b.metric) for b in blocks]
        rows = tuple(
            (
                Cell(arm.short),
                *(
                    dataclasses.replace(
                        column[i], text=marks.get(block.rows[i].verdict, "") + column[i].text
                    )
                    for column, block in zip(columns, blocks, strict=True)
                ),
            )
            for i, arm in enumerate(facts.study.arms)
        )
        heading = (facts.study.heading, *(block.metric.title for block in blocks))
        title = (
            f"{facts.study.name}: mean ± sd over the seeds; "
            f"+ better, {MINUS} worse than the baseline"
        )
        tables.append(Table(title=title, heading=heading, rows=rows))
    return tables


def _block_table(study: StudyFacts, block: Block) -> Table:
    metric = block.metric
    summaries = _ranked([row.summary for row in block.rows], metric)
    compared = any(row.paired for row in block.rows)
    majorities = any(row.majority is not None for row in block.rows)
    unit = f" in {metric.unit}" if metric.unit else ""
    chance = study.data.chance
    beside = f", chance {metric.text(chance)}" if majorities and chance is not None else ""
    heading = [study.heading, "mean ± sd", "n"]
    if compared:
        heading += [DIFFERENCE, "p", "d", "verdict"]
    if majorities:
        heading.append("maj.")
    rows = []
    for row, summary in zip(block.rows, summaries, strict=True):
        cells = [Cell(row.arm.short), summary, Cell(str(row.summary.n if row.summary else 0))]
        if compared:
            cells += [Cell(text) for text in _comparison(metric, row)]
        if majorities:
            share = MISSING if row.majority is None else f"{100 * row.majority:.0f} %"
            cells.append(Cell(share))
        rows.append(tuple(cells))
    return Table(
        title=f"{metric.name} {metric.arrow}{unit}{beside}",
        heading=tuple(heading),
        rows=tuple(rows),
    )


def _comparison(metric: Metric, row: Row) -> tuple[str, str, str, str]:
    if row.paired is None:
        return ("", "", "", row.verdict)
    pair = row.paired
    interval = metric.interval(pair.low, pair.high, signed=True)
    few = f" (n {pair.n})" if row.summary is not None and pair.n != row.summary.n else ""
    return (
        f"{metric.text(pair.difference, signed=True)} {interval}".rstrip() + few,
        MISSING if row.p is None else p_text(row.p),
        MISSING if pair.effect is None else f"{pair.effect:+.2f}".replace("-", MINUS),
        f"{row.verdict} {SIGN_MARK}" if row.sign_changes else row.verdict,
    )


def p_text(p: float) -> str:
    """Return a p value to three decimals, never as zero."""
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def _cost_table(study: StudyFacts, blocks: Sequence[CostBlock]) -> Table:
    compared = any(cost.difference is not None for block in blocks for cost in block.costs)
    heading, columns = [study.heading], []
    for block in blocks:
        heading.append(block.metric.title)
        columns.append(_cost_column(block))
        if compared:
            heading.append(DIFFERENCE if timed(block.metric.name) else "difference")
            columns.append([Cell(_difference(cost, block.metric)) for cost in block.costs])
    rows = tuple(
        (Cell(arm.short), *(column[i] for column in columns)) for i, arm in enumerate(study.arms)
    )
    title = ", ".join(block.metric.name for block in blocks)
    return Table(title=title, heading=tuple(heading), rows=rows)


def _cost_column(block: CostBlock) -> list[Cell]:
    metric = block.metric
    ranks = _ranks([cost.value for cost in block.costs], metric)
    texts = (
        MISSING
        if cost.value is None
        else f"{metric.text(cost.value)} {metric.interval(*(cost.interval or (None, None)))}"
        for cost in block.costs
    )
    return [Cell(text.rstrip(), rank) for text, rank in zip(texts, ranks, strict=True)]


def _difference(cost: Cost, metric: Metric) -> str:
    if cost.difference is None:
        return "" if cost.arm.baseline else MISSING
    interval = metric.interval(*(cost.difference_interval or (None, None)), signed=True)
    return f"{metric.text(cost.difference, signed=True)} {interval}".rstrip()


def _sign_table(facts: AblationFacts) -> Table:
    rows = tuple(
        (Cell(c.arm.short), Cell(", ".join(c.positive)), Cell(", ".join(c.negative)))
        for c in facts.sign_changes
    )
    heading = (facts.study.heading, "+ on", f"{MINUS} on")
    return Table(title=f"{SIGN_MARK} effects without one sign", heading=heading, rows=rows)


def front_table(facts: FrontFacts) -> Table:
    """Return the arms by the objectives, the front first."""
    points = facts.points if len(facts.points) <= SHOWN_ARMS else facts.members
    heading: list[str] = [facts.study.heading]
    columns: list[list[Cell]] = []
    for i, axis in enumerate(facts.axes):
        heading.append(axis.metric.title)
        columns.append(_judged_column(points, i, axis))
        if axis.shown != axis.metric:
            heading.append(axis.shown.title)
            columns.append(_ranked([point.shown[i] for point in points], axis.shown))
    heading += ["n", "P(front)", "front"]
    columns.append([Cell(str(point.n)) for point in points])
    columns.append([Cell(_probability(point)) for point in points])
    columns.append([Cell(_standing(point)) for point in points])
    rows = tuple(
        (
            Cell(f"{point.arm.short} (baseline)" if point.arm.baseline else point.arm.short),
            *(column[i] for column in columns),
        )
        for i, point in enumerate(points)
    )
    return Table(title=f"{facts.study.name}: front", heading=tuple(heading), rows=rows)


def _judged_column(points: Sequence[Point], i: int, axis: Axis) -> list[Cell]:
    cells = _ranked([point.judged[i] for point in points], axis.metric)
    found = []
    for point, cell in zip(points, cells, strict=True):
        timing = point.arm.timings.get(axis.metric.name)
        interval = axis.metric.interval(timing.low, timing.high) if timing else ""
        found.append(Cell(f"{cell.text} {interval}".rstrip(), cell.rank))
    return found


def _probability(point: Point) -> str:
    return MISSING if point.probability is None else f"{point.probability:.2f}"


def _standing(point: Point) -> str:
    if not point.on_front:
        return ""
    return KNEE_MARK if point.knee else "yes"


def outcome_table(study: StudyFacts) -> Table:
    """Return how many trials and arms ended in which way, and why."""
    rows = tuple(
        (Cell(o.state), Cell(f"{o.count} {o.of if o.count != 1 else o.of[:-1]}"), Cell(o.reason))
        for o in study.outcomes
    )
    width = 3 if any(outcome.reason for outcome in study.outcomes) else 2
    return Table(
        title="how trials ended",
        heading=("state", "count", "why")[:width],
        rows=tuple(row[:width] for row in rows),
    )


def _ranked(summaries: Sequence[Summary | None], metric: Metric) -> list[Cell]:
    ranks = _ranks([None if s is None else s.mean for s in summaries], metric)
    return [Cell(metric.spread(s), r) for s, r in zip(summaries, ranks, strict=True)]


def _ranks(values: Sequence[float | None], metric: Metric) -> list[Literal[0, 1, 2]]:
    """Return 1 for the best and 2 for the second, ties included; 0 where nothing differs."""
    # What reads alike ranks alike.
    texts = [None if value is None else metric.text(value) for value in values]
    keys = {t: metric.sign * v for t, v in zip(texts, values, strict=True) if v is not None}
    order = sorted(keys, key=keys.__getitem__)
    ranks: dict[str | None, Literal[0, 1, 2]] = {}
    if len(order) > 1:
        ranks = {order[0]: 1, order[1]: 2}
    return [ranks.get(text, 0) for text in texts]
