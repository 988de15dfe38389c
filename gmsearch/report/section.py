"""A section of a report: one row, from its facts to its files.

To add a section, write one file in `sections/` and list its row in `sections/__init__.py`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from gmsearch.ledger import Study
from gmsearch.report.collect import collect
from gmsearch.report.dominance import FrontFacts, find_front
from gmsearch.report.facts import StudyFacts
from gmsearch.report.tables import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Facts = TypeVar("Facts")


class ReportInput:
    """A study, read once, and the facts that several sections share."""

    def __init__(self, study: Study) -> None:
        """Collect the facts of the study."""
        self.study = study
        self.facts: StudyFacts = collect(study)

    @functools.cached_property
    def front(self) -> FrontFacts:
        """The front over the declared objectives."""
        return find_front(self.facts)


def _no_tables(_: object) -> Sequence[TextTable]:
    return ()


def _no_notes(_: object) -> Sequence[str]:
    return ()


def _by_default(_: StudyFacts) -> bool:
    return True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Section(Generic[Facts]):
    """One section: its facts, and the tables, notes, CSV and figure made from them alone."""

    name: str
    """Stem of its files."""

    title: str = ""
    """Heading in the terminal; empty if nothing is printed."""

    flags: tuple[str, ...] = ()
    """Flags of `gmsearch report` that ask for it."""

    always: bool = False
    """Whether it is printed whatever the flags, and closes every page."""

    by_default: Callable[[StudyFacts], bool] = _by_default
    """Whether it is written when no flag is given."""

    page: bool = False
    """Whether its tables and notes are also written as Markdown and LaTeX."""

    facts: Callable[[ReportInput], Facts]
    """Returns the facts that the rest is made from."""

    tables: Callable[[Facts], Sequence[TextTable]] = _no_tables

    overview: Callable[[Facts], Sequence[TextTable]] = _no_tables
    """Returns tables that come first on a page and are too wide for a terminal."""

    notes: Callable[[Facts], Sequence[str]] = _no_notes
    """Returns notes that explain the tables, a sentence or two each."""

    csv: Callable[[Facts], str] | None = None

    figure: Callable[[Facts], Figure | None] | None = None
    """Draws the facts; None where there is nothing to draw."""

    def wanted(self, flags: Collection[str], study: StudyFacts) -> bool:
        """Return whether the section is part of a report with the given flags."""
        if self.always:
            return True
        return any(flag in flags for flag in self.flags) if flags else self.by_default(study)


def nothing_to_report(study: StudyFacts) -> str:
    """Return why a study without a completed trial has no report."""
    if study.endings:
        return (
            "No trial has completed, so there is nothing to compare; "
            f"`gmsearch show {study.name}` says why."
        )
    return "The study has no trials yet, so there is nothing to report."
