"""The tidy table of trials: a row a trial, what was not measured missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from gmsearch.ledger import read_records
from gmsearch.report import trials


def test_a_row_a_trial_with_every_number_unrounded(
    make_study: Callable[..., Any], fill: Callable[..., Any]
) -> None:
    """Rows, parameters and metrics are those of the ledger, to the last bit."""
    study = fill(make_study(), 3)
    frame = trials(study.folder).set_index("key")
    records = read_records(study.folder).trials
    assert list(frame.index) == list(records)
    for key, record in records.items():
        row = frame.loc[key]
        assert row["gate.product"] == record.params["gate.product"]
        assert {name: row[name] for name in record.metrics} == record.metrics
    mean = frame.groupby("arm")["top1"].mean()
    assert len(mean) == 7


def test_what_was_not_measured_is_missing(make_study: Callable[..., Any]) -> None:
    """A metric that one trial lacks is NaN there, not zero."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5, "high@10": 0.3})
    study.add_trial("none relu", 1, {"top1": 0.6})
    frame = trials(study.folder)
    assert frame["high@10"].iloc[0] == 0.3
    assert pd.isna(frame["high@10"].iloc[1])


@pytest.mark.parametrize("column", ["key", "state", "seed"])
def test_a_study_without_trials_is_an_empty_table(
    make_study: Callable[..., Any], column: str
) -> None:
    """No trial gives no row, and the columns every trial has."""
    frame = trials(make_study().folder)
    assert frame.empty
    assert column in frame.columns
