"""Studies written by a released version: reported with the numbers it reported."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from gmsearch.report import write_report

RELEASED = Path(__file__).parents[3] / "shared" / "studies"
STUDIES = sorted(path.parent for path in RELEASED.glob("*/*/expected"))

STRICTER = {"probability", "sign_changes", "verdict"}
"""Columns that said more than the records did: what is said now is what was said, or less."""

OF_CANDIDATES = {"label", "baseline", "latency_ms", "latency_ms.low", "latency_ms.high", "flops"}


def cells(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield row, column and text of a CSV file; rows are named by what identifies them."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in ("key", "arm", "digest"):
        if column in table:
            table[column] = table[column].str.removeprefix("a-").str.removeprefix("t-")
    identity = [name for name in ("metric", "key", "arm") if name in table]
    for _, row in table.iterrows():
        for column, text in row.items():
            yield " ".join(row[identity]), str(column), text


@pytest.mark.skipif(not STUDIES, reason="the studies of released versions are not here")
@pytest.mark.parametrize("released", STUDIES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_released_studies_are_reported_with_their_numbers(released: Path, tmp_path: Path) -> None:
    """Every number of every CSV file is, to the digit, what the release wrote."""
    folder = shutil.copytree(released, tmp_path / "studies" / released.name)

    files = write_report(folder, tmp_path / "out", console=Console(quiet=True))

    written = {path.name: path for path in files if path.suffix == ".csv"}
    expected = list((released / "expected").iterdir())
    assert written.keys() == {path.name for path in expected}
    for path in expected:
        unequal = len(set(pd.read_csv(path).get("n", pd.Series([0])))) > 1
        now = {(row, column): text for row, column, text in cells(written[path.name])}
        compared = 0
        for row, column, before in cells(path):
            if path.name == "pareto.csv" and unequal and column not in OF_CANDIDATES:
                continue  # it compared arms over different seeds
            if column in STRICTER:
                assert now[row, column] in (before, "", "0", "no common seed"), (row, column)
            else:
                assert now[row, column] == before, (path.name, row, column)
                compared += 1
        assert compared > 30
