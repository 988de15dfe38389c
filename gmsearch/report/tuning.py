"""Training values tuned and costs matched per arm, for a reader to check the comparison."""

from __future__ import annotations

from collections.abc import Sequence

from gmsearch.display import MISSING
from gmsearch.metrics import lookup
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.tables import Cell, TextTable


def tuning_tables(study: StudyFacts) -> list[TextTable]:
    """Return per arm the values tuned for it and its matched cost; no table without either."""
    tune, match = study.space.tune, study.space.match
    heading: list[str] = [study.heading]
    columns: list[list[str]] = []
    if tune is not None:
        heading += list(tune.values)
        columns += [[_tuned_text(study, arm, name) for arm in study.arms] for name in tune.values]
    if match is not None:
        heading += [match.by, f"{match.metric} / baseline"]
        columns.append(["-".join(f"{value:g}" for value in arm.scaled) for arm in study.arms])
        columns.append([_ratio_text(ratio) for ratio in _ratios(study)])
    if not columns:
        return []
    rows = tuple(
        (Cell(arm.short), *(Cell(column[i]) for column in columns))
        for i, arm in enumerate(study.arms)
    )
    title = "tuned values and matched cost"
    return [TextTable(title=title, heading=tuple(heading), rows=rows)]


def tuning_notes(study: StudyFacts) -> list[str]:
    """Return how training values were tuned and costs matched."""
    return [*_tune_notes(study), *_match_notes(study)]


def _tune_notes(study: StudyFacts) -> list[str]:
    tune = study.space.tune
    if tune is None:
        return []
    tried = "; ".join(
        f"{name} among {', '.join(f'{value:g}' for value in values)}"
        for name, values in tune.values.items()
    )
    scope = "Tuned for each arm" if tune.per == "arm" else "Tuned once for all arms"
    best = "lowest" if lookup(tune.metric).better == "lower" else "highest"
    notes = [
        (
            f"{scope}: {tried}, by the {best} {tune.metric} on the holdout. The tuning runs used "
            f"seed {tune.seed}; none of their results is reported."
        )
    ]
    for name in tune.values:
        for end in ("lowest", "highest"):
            arms = [arm.label for arm in study.arms if tune.edges(arm.tuned).get(name) == end]
            if arms:
                notes.append(
                    f"The tuned {name} is the {end} value tried, so the best value may lie "
                    f"outside the range, for: {', '.join(arms)}."
                )
    return notes


def _match_notes(study: StudyFacts) -> list[str]:
    match = study.space.match
    ratios = [ratio for ratio in _ratios(study) if ratio is not None]
    if match is None or not ratios:
        return []
    return [
        (
            f"{match.metric} are matched to the baseline's by scaling {match.by} by one factor "
            "per arm, with small changes to single stages where rounding requires them: ratios "
            f"from {_ratio_text(min(ratios))} to {_ratio_text(max(ratios))}, tolerance "
            f"{100 * match.tolerance:g} %."
        )
    ]


def _tuned_text(study: StudyFacts, arm: ArmFacts, name: str) -> str:
    if study.space.tune is None or name not in arm.tuned:
        return MISSING
    end = study.space.tune.edges(arm.tuned).get(name)
    return f"{arm.tuned[name]:g}{f' ({end})' if end else ''}"


def _ratios(study: StudyFacts) -> Sequence[float | None]:
    match, baseline = study.space.match, study.baseline
    whole = None if match is None or baseline is None else baseline.cost(match.metric)
    if match is None or not whole:
        return [None] * len(study.arms)
    costs = (arm.cost(match.metric) for arm in study.arms)
    return [None if cost is None else cost / whole for cost in costs]


def _ratio_text(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{ratio:.4f}"
