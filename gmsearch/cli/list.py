"""`gmsearch list`: the studies of the current folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gmsearch.status.summary import Summary


_RECENT_DAYS = 300
_LEAST_ABOUT = 24
"""Columns below which what a study is about has a line of its own."""


def list_studies(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the studies in studies/, the one run last first."""
    from gmsearch.cli.console import Console
    from gmsearch.errors import GmsearchError, InputError
    from gmsearch.ledger import STUDIES, studies
    from gmsearch.status.summary import summary_of

    folders = studies(STUDIES)
    if not folders:
        raise InputError(f"no studies in {STUDIES}; `gmsearch run SPACE` creates one")
    found: list[Summary] = []
    unreadable = []
    for folder in folders:
        try:
            found.append(summary_of(folder))
        except GmsearchError as wrong:
            unreadable.append((folder.name, str(wrong)))
    found.sort(key=_begun, reverse=True)
    if json:
        _print_json(found, unreadable)
        return
    console = Console()
    width = console.width if console.is_terminal else None
    for line in _lines(found, width):
        console.say(line)
    for name, error in unreadable:
        console.say(f"{name} cannot be read: {error}")


def _begun(summary: Summary) -> str:
    """Return when a study was last started, in UTC: of one that runs, by its owner."""
    owner = summary.state.owner
    return owner.since.isoformat() if owner is not None and owner.since else summary.started


def _print_json(found: Sequence[Summary], unreadable: Sequence[tuple[str, str]]) -> None:
    import dataclasses
    import json

    trees = []
    for summary in found:
        owner = summary.state.owner
        run_by = dataclasses.asdict(owner) if owner is not None else None
        trees.append({**summary.to_json(), "owner": run_by})
    trees += [{"study": name, "error": error} for name, error in unreadable]
    typer.echo(json.dumps(trees, indent=1, default=str))


def _lines(found: Sequence[Summary], width: int | None) -> Iterator[str]:
    """Yield the table, one line a study; a second one for what it is about, where that is narrow.

    Nothing that names something is cut.
    """
    from rich.cells import cell_len, set_cell_size

    rows = [("study", "state", "best", "trained", "last start")]
    rows += [
        (
            summary.study,
            _state(summary),
            _best(summary),
            _duration(summary.state.seconds),
            _local(_begun(summary)),
        )
        for summary in found
    ]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    left = sum(widths) + 2 * len(widths)
    room = None if width is None else width - left
    below = room is not None and room < _LEAST_ABOUT
    if room is not None and below:
        room += left - 2
    abouts = ["" if below else "about", *(" ".join(s.about.split()) for s in found)]
    for row, about in zip(rows, abouts, strict=True):
        cells = [set_cell_size(cell, n) for cell, n in zip(row, widths, strict=True)]
        if room is not None and cell_len(about) > room:
            about = set_cell_size(about, room - 1) + "…"  # noqa: PLW2901
        if not below:
            cells.append(about)
        yield "  ".join(cells).rstrip()
        if below and about:
            yield f"  {about}"


def _state(summary: Summary) -> str:
    state = summary.state
    failed = f", {state.failed} failed" if state.failed else ""
    return f"{state.state} {_of(state.done, state.total)}{failed}"


def _of(done: int, total: int | None) -> str:
    return str(done) if total in (None, done) else f"{done} of {total}"


def _best(summary: Summary) -> str:
    from gmsearch.display import number
    from gmsearch.metrics import HOLDOUT, lookup

    best = summary.best
    if best is None:
        return ""
    form = lookup(best["metric"]).form
    value = number(best["value"], form, decimals=1 if form == "share" else 3)
    unit = " %" if form == "share" else ""
    return f"{best['metric'].removeprefix(HOLDOUT)} {value}{unit} #{best['arm']}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02}"
    return f"{minutes} min" if minutes >= 2 else f"{minutes * 60 + rest} s"


def _local(started: str) -> str:
    """Return a time in UTC as it is here, to the minute or long ago to the day."""
    from datetime import datetime

    try:
        time = datetime.fromisoformat(started).astimezone()
    except ValueError:
        return started or "never"
    days = (datetime.now().astimezone() - time).days
    return f"{time:%d %b %H:%M}" if days < _RECENT_DAYS else f"{time:%d %b %Y}"
