"""`gmsearch list`: the studies of the current folder."""

from __future__ import annotations


def list_studies() -> None:
    """List the studies in studies/."""
    import collections

    from rich.table import Table
    from rich.text import Text

    from gmsearch.cli.console import Console
    from gmsearch.errors import InputError, StudyError
    from gmsearch.ledger import STUDIES, read_records, studies

    table = Table(box=None, pad_edge=False)
    for name in ("study", "trials", "states", "last run"):
        table.add_column(name)
    folders = studies(STUDIES)
    if not folders:
        raise InputError(f"no studies in {STUDIES}; `gmsearch run SPACE` creates one")
    for folder in folders:
        try:
            records = read_records(folder)
        except StudyError as error:
            table.add_row(folder.name, "?", Text(f"damaged: {error}"), "?")
            continue
        states = collections.Counter(trial.state for trial in records.trials.values())
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        started = records.runs[-1].started if records.runs else "never"
        table.add_row(folder.name, str(len(records.trials)), counts, started)
    Console().print(table)
