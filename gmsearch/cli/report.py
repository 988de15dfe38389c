"""`gmsearch report`: tables and figures of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gmsearch.cli.flags import OptionalStudyName

REPORTS = Path("reports")


def report(
    study: OptionalStudyName = None,
    *,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Write the Pareto front over the objectives.")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Write the comparison of all arms to the baseline.")
    ] = False,
    curves: Annotated[bool, typer.Option("--curves", help="Write the metrics by epoch.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Output folder; defaults to reports/STUDY.")
    ] = None,
) -> None:
    """Write the tables and figures of a study.

    Without flags, writes everything available.
    """
    from gmsearch.cli.console import Console
    from gmsearch.cli.studies import last_study, study_folder
    from gmsearch.report import write_report

    folder = last_study() if study is None else study_folder(study)
    console = Console()
    target = REPORTS / folder.name if out is None else out
    flags = {"pareto": pareto, "ablation": ablation, "curves": curves}
    asked = [flag for flag, given in flags.items() if given]
    written = write_report(folder, target, flags=asked, console=console)
    if not written:
        return
    if [path.name for path in written] == ["trials.csv"]:  # nothing completed
        raise typer.Exit(1)
    names = ", ".join(path.name for path in written)
    console.print()
    console.say(f"study {folder.name}: wrote {target}/{{{names}}}")
