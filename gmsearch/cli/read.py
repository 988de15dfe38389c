"""`gmsearch report`, `list` and `show`: reading what studies hold."""

from __future__ import annotations

import collections
from pathlib import Path

from rich.console import Console
from rich.pretty import Pretty
from rich.table import Table
from rich.text import Text

from gmsearch.errors import InputError, StudyError
from gmsearch.ledger import STUDIES, Records, check_name, newest, read, studies
from gmsearch.metrics import STATIC_METRICS
from gmsearch.records import TrialRecord
from gmsearch.spacefile import load_space

REPORTS = Path("reports")


def report_study(
    study: str | None, out: Path | None, *, pareto: bool, ablation: bool, curves: bool
) -> None:
    """Write the report of a study and print its tables."""
    from gmsearch.report import write_report

    folder = newest(STUDIES) if study is None else study_folder(study)
    console = Console()
    target = REPORTS / folder.name if out is None else out
    written = write_report(
        folder, target, pareto=pareto, ablation=ablation, curves=curves, console=console
    )
    names = ", ".join(path.name for path in written)
    console.print(
        f"\nstudy {folder.name}: wrote {target}/{{{names}}}", highlight=False, markup=False
    )


def list_studies() -> None:
    """Print a line for every study below the current folder."""
    table = Table(box=None, pad_edge=False)
    for name in ("study", "trials", "states", "last start"):
        table.add_column(name)
    folders = studies(STUDIES)
    if not folders:
        raise InputError(f"{STUDIES} holds no study; `gmsearch run SPACE` makes one")
    for folder in folders:
        try:
            records = read(folder)
        except StudyError as error:
            table.add_row(folder.name, "?", Text(f"damaged: {error}"), "?")
            continue
        states = collections.Counter(trial.state for trial in records.trials.values())
        named = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        start = records.runs[-1]["started"] if records.runs else "never"
        table.add_row(folder.name, str(len(records.trials)), named, start)
    Console().print(table)


def show_trials(study: str) -> None:
    """Print a line for every trial of a study."""
    folder = study_folder(study)
    # No image is needed, so that it does not matter where they are by now.
    space = load_space(folder / "space.yaml", data_root=folder)
    metrics = [o.metric for o in space.objectives]
    records = read(folder)
    table = Table(box=None, pad_edge=False)
    for name in ("trial", "candidate", "seed", "state", *metrics):
        table.add_column(name, justify="right" if name in (*metrics, "seed") else "left")
    for trial in records.trials.values():
        known = records.metrics(trial, space.bands)
        state = f"{trial.state} {trial.failure}" if trial.failure else str(trial.state)
        values = [_shown(known.get(metric), metric) for metric in metrics]
        label = space.label(trial.params)
        table.add_row(trial.key, label, str(trial.seed), state, *values)
    Console().print(table)


def show_trial(study: str, key: str) -> None:
    """Print one trial in full: candidate, recipe, metrics, how it ended and on what."""
    folder = study_folder(study)
    records = read(folder)
    trial = _one(records, key)
    bands = load_space(folder / "space.yaml", data_root=folder).bands
    shown = {**trial.to_json(), "metrics": dict(records.metrics(trial, bands))}
    if records.measures.get(trial.key):
        shown["measures"] = records.measures[trial.key]
    run = next((run for run in records.runs if run["run"] == trial.run), {})
    Console().print(Pretty({**shown, "environment": run}, expand_all=True))


def _one(records: Records, key: str) -> TrialRecord:
    trials = {**records.trials, **records.tuning}
    found = [trial for name, trial in trials.items() if name.startswith(key)]
    if len(found) != 1:
        what = "no trial" if not found else f"{len(found)} trials"
        raise InputError(
            f"{what} of {records.folder.name} begin with {key!r}; "
            f"`gmsearch show {records.folder.name}` lists them"
        )
    return found[0]


def study_folder(study: str) -> Path:
    """Return the folder of a study; InputError names those there are where it is none."""
    folder = STUDIES / check_name(study)
    if folder not in studies(STUDIES):
        known = ", ".join(path.name for path in studies(STUDIES)) or "none"
        raise InputError(f"{STUDIES} holds no study {study!r}; it holds {known}")
    return folder


def _shown(value: float | None, metric: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if metric in STATIC_METRICS else f"{value:.4g}"
