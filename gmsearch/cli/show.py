"""`gmsearch show`: the trials of a study, or one trial in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gmsearch.cli.flags import StudyName
from gmsearch.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from gmsearch.ledger import Records
    from gmsearch.records import TrialRecord


def show(
    study: StudyName,
    trial: Annotated[
        str | None,
        typer.Argument(help="Key of a trial or its first characters; defaults to all trials."),
    ] = None,
) -> None:
    """Show the trials of a study, or one trial in full."""
    from gmsearch.cli.studies import study_folder

    folder = study_folder(study)
    if trial is None:
        _show_all(folder)
    else:
        _show_one(folder, trial)


def _show_all(folder: Path) -> None:
    """Print a line for every trial of a study."""
    from rich.table import Table

    from gmsearch.cli.console import Console
    from gmsearch.ledger import read_study

    study = read_study(folder)
    metrics = [objective.metric for objective in study.space.objectives]
    table = Table(box=None, pad_edge=False)
    for name in ("trial", "candidate", "seed", "state", *metrics):
        table.add_column(name, justify="right" if name in (*metrics, "seed") else "left")
    for trial in study.records.trials.values():
        known = study.metrics(trial)
        state = f"{trial.state} {trial.failure}" if trial.failure else str(trial.state)
        values = [_format(known.get(metric), metric) for metric in metrics]
        label = study.space.label(trial.params)
        table.add_row(trial.key, label, str(trial.seed), state, *values)
    Console().print(table)


def _show_one(folder: Path, key: str) -> None:
    """Print one trial in full: candidate, recipe, metrics, how it ended and on what machine."""
    from rich.pretty import Pretty

    from gmsearch.cli.console import Console
    from gmsearch.ledger import read_study

    study = read_study(folder)
    records = study.records
    trial = _find_trial(records, key)
    tree = {**trial.to_json(), "metrics": dict(study.metrics(trial))}
    if records.measures.get(trial.key):
        tree["measures"] = [record.to_json() for record in records.measures[trial.key]]
    run = next((run.to_json() for run in records.runs if run.run == trial.run), {})
    Console().print(Pretty({**tree, "environment": run}, expand_all=True))


def _find_trial(records: Records, key: str) -> TrialRecord:
    study = records.folder.name
    trials = {**records.trials, **records.tuning}
    matching = [trial for name, trial in trials.items() if name.startswith(key)]
    if len(matching) != 1:
        count = f"{len(matching)} trials" if matching else "no trial"
        raise InputError(
            f"{count} of {study} with a key that starts with {key!r}; "
            f"`gmsearch show {study}` lists the keys"
        )
    return matching[0]


def _format(value: float | None, metric: str) -> str:
    from gmsearch.display import MISSING
    from gmsearch.metrics import STATIC_METRICS

    if value is None:
        return MISSING
    return f"{value:,.0f}" if metric in STATIC_METRICS else f"{value:.4g}"
