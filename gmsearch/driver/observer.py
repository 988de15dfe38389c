"""Observer of a study's progress."""

from __future__ import annotations

from typing import Protocol

from gmsearch.experiment import Plan, Progress
from gmsearch.ledger import Records
from gmsearch.records import WorkRecord


class Observer(Protocol):
    """Receives the events of a study, for a live view or plain lines."""

    def opened(self, records: Records) -> None:
        """Receive the records of earlier starts, to which those of this one are added."""

    def doing(self, what: str) -> None:
        """Receive what is being done until the next event, while nothing is trained."""

    def planned(self, total: int, done: int, timings: int) -> None:
        """Receive the known number of trials, how many are finished, and how many timings wait."""

    def started(self, plan: Plan) -> None:
        """Receive a plan that was handed to a worker."""

    def progress(self, progress: Progress) -> None:
        """Receive the progress of a trial after each epoch."""

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Receive a plan that ended, and its record."""
