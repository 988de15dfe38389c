"""The ablation: every arm against the baseline, metric by metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gmsearch import stats
from gmsearch.display import BETTER, DISTURBED, MINUS, MISSING, WORSE
from gmsearch.metrics import lookup
from gmsearch.report.comparison import (
    TOO_SMALL,
    AblationFacts,
    ArmComparison,
    ArmCost,
    MetricComparison,
    MetricCosts,
    compare_arms,
)
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.section import Section, nothing_to_report
from gmsearch.report.shown import ShownMetric
from gmsearch.report.tables import (
    DIFFERENCE,
    Cell,
    CsvValue,
    TextTable,
    arm_columns,
    arm_values,
    csv_text,
    ranked,
    ranks,
)
from gmsearch.report.tuning import tuning_tables

_SIGN = "‡"
_MARKS = {"better": f" {BETTER}", "worse": f" {WORSE}"}
_METRICS_ABREAST = 4
_CSV_COLUMNS = (
    *("metric", "direction", "arm", "label", "baseline", "n", "mean", "sd", "low", "high"),
    "ratio",
    *("pairs", "difference", "difference_low", "difference_high", "p", "p_holm", "effect"),
    *("verdict", "sign_changes", "majority", "chance"),
)


def ablation_tables(facts: AblationFacts) -> list[TextTable]:
    """Return one table per trained metric, the costs that differ, sign changes, and tuning."""
    if not facts.study.measured:
        return []
    tables = [_comparison_table(facts.study, comparison) for comparison in facts.metrics]
    varying = [costs for costs in facts.costs if len({cost.value for cost in costs.arms}) > 1]
    static = [costs for costs in varying if _is_static(costs.metric)]
    groups = [*([costs] for costs in varying if not _is_static(costs.metric)), static]
    tables += [_cost_table(facts.study, group) for group in groups if group]
    if facts.sign_changes:
        tables.append(_sign_table(facts))
    return [*tables, *tuning_tables(facts.study)]


def overview_tables(facts: AblationFacts) -> list[TextTable]:
    """Return all arms by all trained metrics, four metrics a table: means, sd and verdicts."""
    if not facts.study.measured:
        return []
    tables = []
    for start in range(0, len(facts.metrics), _METRICS_ABREAST):
        abreast = facts.metrics[start : start + _METRICS_ABREAST]
        columns = [_means(one) for one in abreast]
        rows = tuple(
            (
                Cell(arm.short),
                *(
                    dataclasses.replace(
                        column[i], text=column[i].text + _MARKS.get(one.arms[i].verdict, "")
                    )
                    for column, one in zip(columns, abreast, strict=True)
                ),
            )
            for i, arm in enumerate(facts.study.arms)
        )
        heading = (facts.study.heading, *(one.metric.title for one in abreast))
        title = (
            f"{facts.study.name}: mean ± sd over the seeds; "
            f"{BETTER} better, {WORSE} worse than the baseline"
        )
        tables.append(TextTable(title=title, heading=heading, rows=rows))
    return tables


def _means(comparison: MetricComparison) -> list[Cell]:
    """Return `mean ± sd` of every arm; none is marked where arms have different seeds."""
    cells = ranked([arm.summary for arm in comparison.arms], comparison.metric)
    return cells if comparison.fair else [Cell(cell.text) for cell in cells]


def _comparison_table(study: StudyFacts, comparison: MetricComparison) -> TextTable:
    metric, arms = comparison.metric, comparison.arms
    compared = any(arm.paired for arm in arms)
    majorities = any(arm.majority is not None for arm in arms)
    unit = f" in {metric.unit}" if metric.unit else ""
    chance = study.data.chance
    level = f", chance {metric.text(chance)}" if majorities and chance is not None else ""
    heading = [study.heading, "mean ± sd", "n"]
    if compared:
        heading += [DIFFERENCE, "p", "d", "verdict"]
    if majorities:
        heading.append("maj.")
    rows = []
    for arm, mean in zip(arms, _means(comparison), strict=True):
        cells = [Cell(arm.arm.short), mean, Cell(str(arm.summary.n if arm.summary else 0))]
        if compared:
            cells += [Cell(text) for text in _comparison_texts(metric, arm)]
        if majorities:
            share = MISSING if arm.majority is None else f"{100 * arm.majority:.0f} %"
            cells.append(Cell(share))
        rows.append(tuple(cells))
    return TextTable(
        title=f"{metric.name} {metric.arrow}{unit}{level}",
        heading=tuple(heading),
        rows=tuple(rows),
        words=("verdict",),
    )


def _comparison_texts(metric: ShownMetric, arm: ArmComparison) -> tuple[str, str, str, str]:
    if arm.paired is None:
        return ("", "", "", arm.verdict)
    pair = arm.paired
    interval = metric.interval(pair.low, pair.high, signed=True)
    few = f" (n {pair.n})" if arm.summary is not None and pair.n != arm.summary.n else ""
    return (
        f"{metric.text(pair.difference, signed=True)} {interval}".rstrip() + few,
        MISSING if arm.p is None else p_text(arm.p),
        MISSING if pair.effect is None else f"{pair.effect:+.2f}".replace("-", MINUS),
        f"{arm.verdict} {_SIGN}" if arm.sign_changes else arm.verdict,
    )


def p_text(p: float) -> str:
    """Return a p value to three decimals, never as zero."""
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def _cost_table(study: StudyFacts, group: Sequence[MetricCosts]) -> TextTable:
    compared = any(arm.difference is not None for costs in group for arm in costs.arms)
    heading, columns = [study.heading], []
    for costs in group:
        heading.append(costs.metric.title)
        columns.append(_cost_column(costs))
        if compared:
            heading.append("difference" if _is_static(costs.metric) else DIFFERENCE)
            columns.append([Cell(_difference(cost, costs.metric)) for cost in costs.arms])
        if any(cost.ratio is not None for cost in costs.arms):
            heading.append("× reference")
            columns.append([Cell(_ratio(cost)) for cost in costs.arms])
    rows = tuple(
        (Cell(arm.short), *(column[i] for column in columns)) for i, arm in enumerate(study.arms)
    )
    title = ", ".join(costs.metric.name for costs in group)
    return TextTable(title=title, heading=tuple(heading), rows=rows)


def _is_static(metric: ShownMetric) -> bool:
    return lookup(metric.name).known == "static"


def _cost_column(costs: MetricCosts) -> list[Cell]:
    metric = costs.metric
    places = ranks([cost.value for cost in costs.arms], metric)
    texts = (
        MISSING
        if cost.value is None
        else f"{metric.text(cost.value)}{DISTURBED if cost.disturbed else ''} "
        f"{metric.interval(*(cost.interval or (None, None)))}"
        for cost in costs.arms
    )
    return [Cell(text.rstrip(), rank) for text, rank in zip(texts, places, strict=True)]


def _ratio(cost: ArmCost) -> str:
    return MISSING if cost.ratio is None else f"{cost.ratio:.3f}"


def _difference(cost: ArmCost, metric: ShownMetric) -> str:
    if cost.difference is None:
        return "" if cost.arm.baseline else MISSING
    interval = metric.interval(*(cost.difference_interval or (None, None)), signed=True)
    return f"{metric.text(cost.difference, signed=True)} {interval}".rstrip()


def _sign_table(facts: AblationFacts) -> TextTable:
    rows = tuple(
        (Cell(c.arm.short), Cell(", ".join(c.positive)), Cell(", ".join(c.negative)))
        for c in facts.sign_changes
    )
    heading = (facts.study.heading, "+ on", f"{MINUS} on")
    title = f"{_SIGN} effects whose sign depends on radius or protocol"
    return TextTable(title=title, heading=heading, rows=rows, words=heading[1:])


def ablation_notes(facts: AblationFacts) -> list[str]:
    """Return the notes that explain the ablation tables."""
    study = facts.study
    if not study.measured:
        return [nothing_to_report(study)]
    notes = []
    if study.space.baseline is None:
        notes.append("The space has no baseline, so the arms are listed without a comparison.")
    elif study.baseline is None:
        notes.append("The baseline has no completed trial yet, so nothing can be compared to it.")
    else:
        notes += _comparison_notes(facts, study.baseline)
    return notes + _equal_cost_notes(facts)


def _comparison_notes(facts: AblationFacts, baseline: ArmFacts) -> list[str]:
    notes = [
        (
            f"Differences are to the baseline ({baseline.label}), paired over the seeds that both "
            "arms have: mean and 95 % t interval. p: exact two-sided sign-flip permutation test, "
            "Holm-corrected over the comparisons of one metric. d: mean / sd of the paired "
            f"differences. Verdict: better or worse if p ≤ {stats.ALPHA}, otherwise undecided."
        ),
    ]
    if any(not comparison.fair for comparison in facts.metrics):
        notes.append(
            "n differs between arms: each mean ± sd is over the arm's own seeds, so the means are "
            "not to be compared and none is marked as the best. The differences may be: they are "
            "paired."
        )
    needed = {
        (comparison.comparisons, comparison.needed)
        for comparison in facts.metrics
        if any(arm.verdict == TOO_SMALL for arm in comparison.arms)
    }
    notes += [
        f"{TOO_SMALL}: with so few seeds no result can reach p ≤ {stats.ALPHA} after Holm "
        f"correction; {count} comparison{'s need' if count > 1 else ' needs'} at least {seeds} "
        "seeds."
        for count, seeds in sorted(needed)
    ]
    if facts.sign_changes:
        notes.append(
            f"{_SIGN} The sign of this effect depends on the radius or protocol chosen: 95 % "
            "intervals of both signs exclude 0 (see the table below)."
        )
    if any(arm.majority is not None for comparison in facts.metrics for arm in comparison.arms):
        notes.append(
            "maj.: largest share of one predicted class; near 100 % the network has collapsed to "
            "one class, whatever its accuracy."
        )
    return notes


def _equal_cost_notes(facts: AblationFacts) -> list[str]:
    objectives = {objective.metric for objective in facts.study.space.objectives}
    notes = []
    for costs in facts.costs:
        values = {cost.value for cost in costs.arms if cost.value is not None}
        if len(values) == 1 < len(facts.study.measured):
            name = costs.metric.name
            role = ", so this objective has no influence here" if name in objectives else ""
            notes.append(f"{name} is {costs.metric.with_unit(values.pop())} for every arm{role}.")
    return notes


def ablation_csv(facts: AblationFacts) -> str:
    """Return one row per metric and arm; low and high are the interval of a timed metric."""
    rows = [
        _comparison_row(facts.study, comparison.metric, arm)
        for comparison in facts.metrics
        for arm in comparison.arms
    ]
    rows += [_cost_row(costs.metric, cost) for costs in facts.costs for cost in costs.arms]
    return csv_text([*_CSV_COLUMNS, *arm_columns(facts.study.arms)], rows)


def _comparison_row(
    study: StudyFacts, metric: ShownMetric, arm: ArmComparison
) -> dict[str, CsvValue]:
    row = _identity_columns(arm.arm, metric)
    row |= {"verdict": arm.verdict, "majority": arm.majority}
    row["chance"] = study.data.chance if arm.majority is not None else None
    if arm.summary is not None:
        row |= {"n": arm.summary.n, "mean": arm.summary.mean, "sd": arm.summary.sd}
    if arm.paired is not None:
        row |= {
            "pairs": arm.paired.n,
            "difference": arm.paired.difference,
            "difference_low": arm.paired.low,
            "difference_high": arm.paired.high,
            "p": arm.paired.p,
            "p_holm": arm.p,
            "effect": arm.paired.effect,
            "sign_changes": int(arm.sign_changes),
        }
    return row


def _cost_row(metric: ShownMetric, cost: ArmCost) -> dict[str, CsvValue]:
    row = _identity_columns(cost.arm, metric)
    row |= {"mean": cost.value, "difference": cost.difference}
    row["ratio"] = cost.ratio
    if cost.interval is not None:
        row["low"], row["high"] = cost.interval
    if cost.difference_interval is not None:
        row["difference_low"], row["difference_high"] = cost.difference_interval
    return row


def _identity_columns(arm: ArmFacts, metric: ShownMetric) -> dict[str, CsvValue]:
    direction = "maximize" if metric.maximize else "minimize"
    return {"metric": metric.name, "direction": direction, **arm_values(arm)}


ABLATION = Section(
    name="ablation",
    title="ablation",
    flags=("ablation",),
    by_default=lambda study: not study.space.search.selects,
    page=True,
    facts=lambda report: compare_arms(report.facts),
    tables=ablation_tables,
    overview=overview_tables,
    notes=ablation_notes,
    csv=ablation_csv,
)
