"""Arguments and flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpaceFile = Annotated[Path, typer.Argument(metavar="SPACE", help="Space file (*.yaml).")]
StudyName = Annotated[str, typer.Argument(help="Name of a study in studies/.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the images; overrides GMSEARCH_DATA and data.root."),
]
