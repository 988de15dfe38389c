"""How trials and arms ended: counts and reasons."""

from __future__ import annotations

from gmsearch.report.facts import StudyFacts
from gmsearch.report.section import Section
from gmsearch.report.tables import Cell, TextTable


def endings_tables(study: StudyFacts) -> list[TextTable]:
    """Return the table of endings; none for a study without any."""
    if not study.endings:
        return []
    rows = tuple(
        (Cell(e.state), Cell(f"{e.count} {e.of if e.count != 1 else e.of[:-1]}"), Cell(e.reason))
        for e in study.endings
    )
    width = 3 if any(ending.reason for ending in study.endings) else 2
    heading = ("state", "count", "reason")[:width]
    return [
        TextTable(
            title="how trials ended",
            heading=heading,
            rows=tuple(row[:width] for row in rows),
            words=heading[1:],
            prose="reason",
        )
    ]


ENDINGS = Section(
    name="endings",
    title="outcomes",
    always=True,
    facts=lambda report: report.facts,
    tables=endings_tables,
)
