"""The files of a report: its sections' CSV and figures, and their pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from gmsearch.report.cautions import cautions
from gmsearch.report.figures.style import figure_bytes, mark_preliminary
from gmsearch.report.render.latex import latex
from gmsearch.report.render.markdown import markdown
from gmsearch.report.section import ReportInput, Section
from gmsearch.report.tables import TextTable


@dataclasses.dataclass(frozen=True, slots=True)
class MadeSection:
    """One section of one study: its facts, tables and notes."""

    section: Section[Any]
    facts: Any
    tables: Sequence[TextTable]
    notes: Sequence[str]

    @property
    def shown(self) -> bool:
        """Whether there is anything to print."""
        return bool(self.section.title and (self.tables or self.notes))


def make_section(section: Section[Any], report: ReportInput) -> MadeSection:
    """Make one section of a report."""
    facts = section.facts(report)
    return MadeSection(section, facts, section.tables(facts), section.notes(facts))


def files(parts: Sequence[MadeSection], report: ReportInput) -> dict[str, bytes]:
    """Return the files of all parts by name, in the order they are written."""
    closing = [made for made in parts if made.section.always]
    written: dict[str, bytes] = {}
    for made in parts:
        section, facts = made.section, made.facts
        if section.page:
            written |= _pages(made, closing, report)
        if section.csv is not None:
            written[f"{section.name}.csv"] = section.csv(facts).encode()
        figure = section.figure(facts) if section.figure is not None else None
        if figure is not None:
            if report.facts.unfinished is not None:
                mark_preliminary(figure)
            written[f"{section.name}.png"] = figure_bytes(figure, "png")
            written[f"{section.name}.svg"] = figure_bytes(figure, "svg")
    return written


def _pages(
    made: MadeSection, closing: Sequence[MadeSection], report: ReportInput
) -> dict[str, bytes]:
    """Return a section as Markdown and LaTeX, with the notes of the closing sections.

    Their tables, which count trials, are for Markdown only: a paper does not need them.
    """
    name = made.section.name
    tables = [*made.section.overview(made.facts), *made.tables]
    notes = [*cautions(report.facts), *made.notes]
    notes += [note for last in closing for note in last.notes]
    closing_tables = [table for last in closing for table in last.tables]
    title = f"{report.facts.name}: {name}"
    return {
        f"{name}.md": markdown(title, [*tables, *closing_tables], notes).encode(),
        f"{name}.tex": latex(tables, notes).encode(),
    }
