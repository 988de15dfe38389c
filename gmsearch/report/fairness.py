"""What makes the arms comparable, for a reader to check: values tuned, costs matched."""

from __future__ import annotations

from collections.abc import Sequence

from gmsearch.metrics import lookup
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.report.metrics import MISSING
from gmsearch.report.tables import Cell, Table


def fairness_table(study: StudyFacts) -> Table | None:
    """Return per arm the training values chosen for it, and how its cost was matched."""
    tune, match = study.space.tune, study.space.match
    heading: list[str] = [study.heading]
    columns: list[list[str]] = []
    if tune is not None:
        heading += list(tune.values)
        columns += [[_chosen(study, arm, name) for arm in study.arms] for name in tune.values]
    if match is not None:
        heading += [match.by, f"{match.metric} / baseline"]
        columns.append(["-".join(f"{value:g}" for value in arm.scaled) for arm in study.arms])
        columns.append([_ratio_text(ratio) for ratio in _ratios(study)])
    if not columns:
        return None
    rows = tuple(
        (Cell(arm.short), *(Cell(column[i]) for column in columns))
        for i, arm in enumerate(study.arms)
    )
    return Table(title="made comparable", heading=tuple(heading), rows=rows)


def fairness_notes(study: StudyFacts) -> list[str]:
    """Return how training values were chosen and costs matched."""
    return [*_tune_notes(study), *_match_notes(study)]


def _tune_notes(study: StudyFacts) -> list[str]:
    tune = study.space.tune
    if tune is None:
        return []
    tried = "; ".join(
        f"{name} among {', '.join(f'{value:g}' for value in values)}"
        for name, values in tune.values.items()
    )
    whom = "for every arm" if tune.per == "arm" else "for all arms together"
    better = "smallest" if lookup(tune.metric).better == "lower" else "largest"
    notes = [
        (
            f"Chosen {whom}: {tried}; by the {better} {tune.metric} on the holdout, from training "
            f"runs with seed {tune.seed}, of which no number is shown."
        )
    ]
    for name in tune.values:
        for end in ("lowest", "highest"):
            arms = [arm.label for arm in study.arms if tune.edges(arm.tuned).get(name) == end]
            if arms:
                notes.append(
                    f"The {name} chosen is the {end} of those tried, and the best may lie beyond, "
                    f"for: {', '.join(arms)}."
                )
    return notes


def _match_notes(study: StudyFacts) -> list[str]:
    match = study.space.match
    ratios = [ratio for ratio in _ratios(study) if ratio is not None]
    if match is None or not ratios:
        return []
    return [
        (
            f"The {match.metric} of every arm are made those of the baseline by one factor on its "
            f"{match.by}, single stages moved a little where rounding asks for it: "
            f"{_ratio_text(min(ratios))} to {_ratio_text(max(ratios))} of them, within "
            f"{100 * match.tolerance:g} % asked for."
        )
    ]


def _chosen(study: StudyFacts, arm: ArmFacts, name: str) -> str:
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
