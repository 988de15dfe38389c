"""Studies written by a released version: reported with the numbers it reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from gmsearch.report import write_report

RELEASED = Path(__file__).parents[3] / "shared" / "studies"
STUDIES = sorted(path.parent for path in RELEASED.glob("*/*/expected"))


@pytest.mark.skipif(not STUDIES, reason="the studies of released versions are not here")
@pytest.mark.parametrize("released", STUDIES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_released_studies_are_reported_to_the_byte(released: Path, tmp_path: Path) -> None:
    """Every CSV file equals the one that the release wrote from the same records."""
    folder = shutil.copytree(released, tmp_path / "studies" / released.name)

    files = write_report(folder, tmp_path / "out", console=Console(quiet=True))

    written = {path.name: path.read_bytes() for path in files if path.suffix == ".csv"}
    expected = {path.name: path.read_bytes() for path in (released / "expected").iterdir()}
    assert written == expected
