"""The study folder: an append-only ledger of JSON lines, the workers' spool, and histories.

    trials.jsonl          the single source of truth; one record per line, only written by the
                          driver
    spool/<key>.json      records of workers, until the driver has moved them to the ledger
    history/<key>.json    curves per epoch, apart from the ledger to keep it small
    weights/<key>.*       final weights of a trial, and their predictions
    space.yaml            frozen copy of the space file, written and compared by the driver
    run.log               what every start said, for people; nothing reads it
    lock, owner.json      lock of the process that runs the study, and its name

Nothing here decides what to run, and nothing is ever unpickled.
"""

from __future__ import annotations

from gmsearch.ledger.files import (
    check_name,
    given,
    read_history,
    spool,
    weights,
    write_atomic,
    write_history,
    writing,
)
from gmsearch.ledger.numbers import ArmNumbers
from gmsearch.ledger.owner import Owner, owner_of
from gmsearch.ledger.reader import (
    STUDIES,
    Records,
    ledger_stamp,
    newest,
    read_records,
    studies,
)
from gmsearch.ledger.study import Study, read_study
from gmsearch.ledger.writer import Ledger

__all__ = [
    "STUDIES",
    "ArmNumbers",
    "Ledger",
    "Owner",
    "Records",
    "Study",
    "check_name",
    "given",
    "ledger_stamp",
    "newest",
    "owner_of",
    "read_history",
    "read_records",
    "read_study",
    "spool",
    "studies",
    "weights",
    "write_atomic",
    "write_history",
    "writing",
]
