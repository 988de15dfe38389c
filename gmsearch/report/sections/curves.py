"""Learning curves: mean and spread over the seeds, epoch by epoch."""

from __future__ import annotations

from gmsearch import ledger
from gmsearch.report.curves import CurveFacts, trace
from gmsearch.report.figures.curves import curve_figure
from gmsearch.report.section import ReportInput, Section


def _facts(report: ReportInput) -> CurveFacts:
    folder = report.study.folder
    keys = [key for arm in report.facts.measured for key in arm.keys.values()]
    read = ((key, ledger.read_history(folder, key)) for key in keys)
    histories = {key: history for key, history in read if history is not None}
    return trace(report.facts, histories, [point.arm for point in report.front.members])


def curve_notes(facts: CurveFacts) -> list[str]:
    """Return what the curves show."""
    if not facts.panels:
        return ["No per-epoch history was saved, so there are no curves."]
    splits = " and ".join(facts.splits)
    return [
        (
            f"Curves show mean ± sd over the seeds: accuracies on the {splits} split, train_loss "
            "averaged over each epoch."
        )
    ]


CURVES = Section(
    name="curves",
    title="curves",
    flags=("curves", "ablation"),
    facts=_facts,
    notes=curve_notes,
    figure=curve_figure,
)
