"""Tables and figures of a study: facts first, then their drawing, from its records alone.

The same ledger gives the same bytes. Needs neither torch nor ray, and takes no lock.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from gmsearch import ledger
from gmsearch.report import csvs, notes, tables
from gmsearch.report.ablation import ablate
from gmsearch.report.collect import collect
from gmsearch.report.curve_figure import curve_figure
from gmsearch.report.curves import trace
from gmsearch.report.facts import StudyFacts
from gmsearch.report.fairness import fairness_table
from gmsearch.report.figures import write
from gmsearch.report.frame import trials
from gmsearch.report.front import FrontFacts, judge
from gmsearch.report.front_figure import front_figure
from gmsearch.report.render import latex, markdown, show
from gmsearch.spacefile import load_space

__all__ = ["trials", "write_report"]


def write_report(
    folder: Path,
    out: Path,
    *,
    pareto: bool,
    ablation: bool,
    curves: bool,
    console: Console,
) -> list[Path]:
    """Write the report of the study in `folder` to `out` and print its tables.

    Without any flag everything the study can give is written; an ablation of a search, whose
    arms nobody lined up for comparison, only when asked for; and trials.csv, see `trials`.

    Args:
        folder: the study's folder; it is read, never changed.
        out: where the files go; created.
        pareto: pareto.csv, .md, .tex, .png, .svg: the front over the declared objectives.
        ablation: ablation.csv, .md, .tex: every arm against the baseline; and the curves.
        curves: curves.png, .svg: accuracies by epoch.
        console: where the tables are printed.

    Returns:
        The files written, in the order they were.

    Raises:
        InputError: the study's ledger or space cannot be read, or `out` cannot be written.
    """
    records = ledger.read(folder)
    # No image is needed, so that it does not matter where they are by now.
    study = collect(records, load_space(records.space_path, data_root=folder))
    everything = not (pareto or ablation or curves)
    wanted = {
        "pareto": pareto or everything,
        "ablation": ablation or (everything and not study.space.search.selects),
        "curves": curves or ablation or everything,
    }
    # Printed when all is written: a reader of a pipe that has seen enough ends the program.
    with console.capture() as printed:
        files = _sections(study, folder, console, wanted)
    if everything:
        files["trials.csv"] = trials(folder).to_csv(index=False).encode()
    written = [ledger.write_atomic(out / name, data) for name, data in files.items()]
    console.file.write(printed.get())
    return written


def _sections(
    study: StudyFacts, folder: Path, console: Console, wanted: dict[str, bool]
) -> dict[str, bytes]:
    """Print what is wanted and return its files."""
    front = judge(study)
    console.print(Text(f"{study.name}: {study.about}".rstrip(": "), style="bold"))
    if study.outcomes:
        show(console, "outcomes", [tables.outcome_table(study)], [])
    if not study.measured:
        # Once, and not for every part of the report.
        console.print(notes.nothing(study))
        console = Console(quiet=True)
    files: dict[str, bytes] = {}
    if wanted["pareto"]:
        files |= _front(front, console)
    if wanted["ablation"]:
        files |= _ablation(study, console)
    if wanted["curves"]:
        files |= _curves(study, front, folder, console)
    if study.measured:
        show(console, "how it was measured", [], notes.measured_notes(study))
    return files


def _front(facts: FrontFacts, console: Console) -> dict[str, bytes]:
    shown = [tables.front_table(facts)] if facts.points else []
    sentences = notes.front_notes(facts)
    show(console, "front", shown, sentences)
    found = _page("pareto", facts.study, shown, sentences)
    found["pareto.csv"] = csvs.front_csv(facts).encode()
    figure = front_figure(facts)
    if figure is not None:
        found |= {"pareto.png": write(figure, "png"), "pareto.svg": write(figure, "svg")}
    return found


def _ablation(study: StudyFacts, console: Console) -> dict[str, bytes]:
    facts = ablate(study)
    made = fairness_table(study)
    shown = tables.ablation_tables(facts) if study.measured else []
    shown += [made] if made is not None and study.measured else []
    overview = tables.overview_tables(facts) if study.measured else []
    sentences = notes.ablation_notes(facts)
    show(console, "ablation", shown, sentences)
    found = _page("ablation", study, [*overview, *shown], sentences)
    found["ablation.csv"] = csvs.ablation_csv(facts).encode()
    return found


def _curves(
    study: StudyFacts, front: FrontFacts, folder: Path, console: Console
) -> dict[str, bytes]:
    histories = {}
    for arm in study.measured:
        for key in arm.keys.values():
            history = ledger.read_history(folder, key)
            if history is not None:
                histories[key] = history
    facts = trace(study, histories)
    show(console, "curves", [], notes.curve_notes(facts))
    figure = curve_figure(facts, [point.arm for point in front.members])
    if figure is None:
        return {}
    return {"curves.png": write(figure, "png"), "curves.svg": write(figure, "svg")}


def _page(
    name: str, study: StudyFacts, written: list[tables.Table], sentences: list[str]
) -> dict[str, bytes]:
    """Return a section as Markdown and LaTeX."""
    outcomes = [tables.outcome_table(study)] if study.outcomes else []
    everything = [*sentences, *(notes.measured_notes(study) if study.measured else [])]
    return {
        f"{name}.md": markdown(
            f"{study.name}: {name}", [*written, *outcomes], everything
        ).encode(),
        f"{name}.tex": latex(written, everything).encode(),
    }
