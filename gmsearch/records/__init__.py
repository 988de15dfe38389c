"""Lines of the ledger as frozen dataclasses, one per kind; only here are their keys spelt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gmsearch.records.base import Record
from gmsearch.records.measured import MeasureRecord, TimingRecord
from gmsearch.records.study import (
    AskRecord,
    DevicePart,
    ImagesPart,
    InfeasibleRecord,
    OtherRecord,
    RunRecord,
    StudyRecord,
    TriedPart,
    TunedRecord,
)
from gmsearch.records.trial import (
    MAX_ATTEMPTS,
    Failure,
    State,
    TrialRecord,
    TuningRecord,
    is_final,
    shared,
)

__all__ = [
    "MAX_ATTEMPTS",
    "RECORDS",
    "AskRecord",
    "DevicePart",
    "Failure",
    "ImagesPart",
    "InfeasibleRecord",
    "MeasureRecord",
    "OtherRecord",
    "Record",
    "RunRecord",
    "State",
    "StudyRecord",
    "TimingRecord",
    "TrialRecord",
    "TriedPart",
    "TunedRecord",
    "TuningRecord",
    "WorkRecord",
    "is_final",
    "record_from_json",
    "shared",
]

WorkRecord = TrialRecord | TimingRecord | MeasureRecord
"""Record that a worker leaves when a plan ends."""

_RECORDS: tuple[type[Record], ...] = (
    StudyRecord,
    RunRecord,
    AskRecord,
    InfeasibleRecord,
    TimingRecord,
    TuningRecord,
    TunedRecord,
    TrialRecord,
    MeasureRecord,
)
RECORDS: Mapping[str, type[Record]] = {record.kind: record for record in _RECORDS}
"""Class of each kind of line."""


def record_from_json(tree: Mapping[str, Any]) -> Record:
    """Build the record of a line; an OtherRecord if its kind is not known.

    Raises:
        KeyError: the line does not state its kind.
        TypeError: a key that every release writes is missing.
        ValueError: a value is not one of those its field can take.
    """
    return RECORDS.get(tree["record"], OtherRecord).from_json(tree)
