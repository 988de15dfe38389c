"""Tables and figures of a study: facts are computed from its records alone, then drawn.

The same ledger gives the same bytes. Needs neither torch nor ray, and takes no lock. What draws is
imported by what writes, since the facts alone are wanted too.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from gmsearch import ledger

TRIALS = "trials"
"""Name of the section that is written of trials that failed, too."""

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from gmsearch.report.facts import StudyFacts
    from gmsearch.report.page import MadeSection

__all__ = ["trials", "write_report"]


def write_report(
    folder: Path, out: Path, *, console: Console, flags: Collection[str] = ()
) -> list[Path]:
    """Write the report of the study in `folder` to `out` and print its tables.

    Without any flag everything the study can give is written, including trials.csv (see
    `trials`); an ablation of a search, which has no designed comparison, only when asked for.

    Args:
        folder: the study's folder; it is read, never changed.
        out: where the files go; created.
        console: where the tables are printed.
        flags: `pareto` writes pareto.csv, .md, .tex, .png, .svg: the front over the declared
            objectives; `ablation` writes ablation.csv, .md, .tex: every arm against the baseline,
            and the curves; `curves` writes curves.png, .svg: accuracies by epoch.

    Returns:
        The files written, in the order they were: none without a trial, and without a completed
        one trials.csv alone.

    Raises:
        InputError: the study's ledger or space cannot be read, or `out` cannot be written.
        ValueError: there is no such flag.
    """
    from gmsearch.report.page import files, make_section
    from gmsearch.report.section import ReportInput
    from gmsearch.report.sections import FLAGS, SECTIONS

    unknown = sorted(set(flags) - set(FLAGS))
    if unknown:
        raise ValueError(f"expected flags among {', '.join(FLAGS)}, got {', '.join(unknown)}")
    report = ReportInput(ledger.read_study(folder))
    wanted = [section for section in SECTIONS if section.wanted(flags, report.facts)]
    if not report.facts.measured:  # nothing but what ended, and how
        ended = bool(report.study.records.trials)
        wanted = [s for s in wanted if s.always or (ended and s.name == TRIALS)]
    parts = [make_section(section, report) for section in wanted]
    # Files first: when a reader of a pipe has seen enough, printing ends the program.
    made = files(parts, report)
    with ledger.given():
        if made:
            with ledger.writing(out):
                out.mkdir(parents=True, exist_ok=True)
        written = [ledger.write_atomic(out / name, data) for name, data in made.items()]
    _print(console, report.facts, parts)
    return written


def trials(folder: Path) -> pd.DataFrame:
    """Return a row per trial: identity, state, then the parameters and metrics by their names.

    What was not measured is missing (NaN), never zero. Metrics added later by `gmsearch measure`
    are columns like the others. Rows are in the order of the ledger.

    Args:
        folder: a study's folder, such as `studies/gate_ablation`.

    Raises:
        StudyError: there is no ledger, or it is damaged.
    """
    from gmsearch.report.sections.trials import trials_table

    return trials_table(ledger.read_study(folder))


def _print(console: Console, study: StudyFacts, parts: list[MadeSection]) -> None:
    from rich.text import Text

    from gmsearch.printable import visible
    from gmsearch.report.cautions import cautions
    from gmsearch.report.render.terminal import print_section
    from gmsearch.report.section import nothing_to_report

    title = " ".join(f"{study.name}: {study.about}".rstrip(": ").split())
    console.print(Text(visible(title), style="bold"))
    if study.measured:
        for caution in cautions(study):
            console.print(Text(visible(caution), style="bold red"))
    for made in parts:
        if made.shown and (study.measured or made.section.always):
            print_section(console, made.section.title, made.tables, made.notes)
    if not study.measured:
        # Once, instead of once per section.
        console.print(nothing_to_report(study))
