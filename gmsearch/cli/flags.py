"""Arguments and flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpaceFile = Annotated[Path, typer.Argument(metavar="SPACE", help="Space file (*.yaml).")]


def _study_names(incomplete: str) -> list[str]:
    """Return the names of studies that begin so, for the completion of a shell."""
    from gmsearch.ledger import studies

    return [folder.name for folder in studies() if folder.name.startswith(incomplete)]


StudyName = Annotated[
    str, typer.Argument(help="Name of a study in studies/.", autocompletion=_study_names)
]
OptionalStudyName = Annotated[
    str | None,
    typer.Argument(
        help="Name of a study in studies/; defaults to the study run last.",
        autocompletion=_study_names,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the images; overrides GMSEARCH_DATA and data.root."),
]
