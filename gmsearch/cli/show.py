"""`gmsearch show`: the trials of a study, or one trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmsearch.cli.flags import StudyName
from gmsearch.errors import InputError

if TYPE_CHECKING:
    from gmsearch.ledger import Records, Study
    from gmsearch.records import TrialRecord


def show(
    study: StudyName,
    trial: Annotated[
        str | None,
        typer.Argument(help="Key of a trial or its first characters; defaults to all trials."),
    ] = None,
    *,
    state: Annotated[
        str | None, typer.Option(help="Only trials in this state, such as FAILED.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="Metric to sort by, best first; or seconds, longest first.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many trials.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show the trials of a study, or one trial.

    Of one trial: its result, where its files are, and Python that rebuilds the network.
    """
    from gmsearch.cli.console import Console
    from gmsearch.cli.studies import study_folder
    from gmsearch.ledger import read_study

    read = read_study(study_folder(study))
    if trial is not None:
        if state is not None or sort is not None or limit is not None:
            raise InputError("--state, --sort and --limit are for all trials; leave out the key")
        found = find_trial(read.records, trial)
        if json:
            _print_json(_tree(read, found))
            return
        from gmsearch.cli.show_trial import trial_lines

        lines = trial_lines(read, found)
    else:
        from gmsearch.cli.show_trials import chosen, trials_lines

        trials = chosen(read, state=state, sort=sort, limit=limit)
        if json:
            _print_json([_tree(read, one) for one in trials])
            return
        lines = trials_lines(read, trials)
    console = Console()
    for line in lines:
        room = console.width if trial is not None and console.is_terminal else None
        for part in _wrapped(line, room):
            console.say(part)


def find_trial(records: Records, key: str) -> TrialRecord:
    """Return the trial, or the tuning run, whose key begins with the given characters.

    Raises:
        InputError: there is none, or there are several.
    """
    study, trials = records.folder.name, {**records.trials, **records.tuning}
    wanted = key.removeprefix("t-")  # as in CSV files
    matching = [trial for name, trial in trials.items() if name.startswith(wanted)]
    if len(matching) != 1:
        count = f"{len(matching)} trials" if matching else "no trial"
        raise InputError(
            f"{count} of {study} with a key that starts with {key!r}; "
            f"`gmsearch show {study}` lists the keys"
        )
    return matching[0]


def _wrapped(line: str, width: int | None) -> list[str]:
    """Return a line as several that fit a terminal, no word cut; what is indented as it is."""
    import textwrap

    if width is None or line.startswith(" "):
        return [line]
    return textwrap.wrap(
        line, width, subsequent_indent=11 * " ", break_long_words=False, break_on_hyphens=False
    )


def _tree(study: Study, trial: TrialRecord) -> dict[str, Any]:
    """Return all that is recorded of a trial."""
    records = study.records
    tree = {**trial.to_json(), "metrics": dict(study.metrics(trial))}
    if records.measures.get(trial.key):
        tree["measures"] = [record.to_json() for record in records.measures[trial.key]]
    run = next((run.to_json() for run in records.runs if run.run == trial.run), {})
    return {**tree, "environment": run}


def _print_json(tree: object) -> None:
    import json

    typer.echo(json.dumps(tree, indent=1, allow_nan=False))
