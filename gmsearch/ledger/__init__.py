"""The study folder: an append-only ledger of JSON lines, the workers' spool, and histories.

    trials.jsonl          the only truth; one record a line, written by the driver alone
    spool/<key>.json      what a worker measured, until the driver has taken it in
    history/<key>.json    curves per epoch, beside the ledger to keep it small
    weights/<key>.*       the final weights of a trial, and what they predicted
    space.yaml            the frozen copy of the space file, which the driver writes and compares
    lock, owner.json      who runs the study

Nothing here decides what to run, and nothing is ever unpickled.
"""

from __future__ import annotations

from gmsearch.ledger.files import (
    check_name,
    read_history,
    spool,
    weights,
    write_atomic,
    write_history,
)
from gmsearch.ledger.records import Records, newest, read, studies
from gmsearch.ledger.study import STUDIES, Study, read_study
from gmsearch.ledger.writer import Ledger

__all__ = [
    "STUDIES",
    "Ledger",
    "Records",
    "Study",
    "check_name",
    "newest",
    "read",
    "read_history",
    "read_study",
    "spool",
    "studies",
    "weights",
    "write_atomic",
    "write_history",
]
