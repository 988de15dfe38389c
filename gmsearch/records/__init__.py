"""Records of the ledger as frozen dataclasses."""

from __future__ import annotations

from gmsearch.records.trial import Failure, State, TrialRecord, record_from, record_of

__all__ = ["Failure", "State", "TrialRecord", "record_from", "record_of"]
