"""Observer of a study's progress."""

from __future__ import annotations

from typing import Protocol

from gmsearch.experiment import Plan, Progress
from gmsearch.records import WorkRecord


class Observer(Protocol):
    """Receives what happens in a study: a live view, or plain lines."""

    def planned(self, total: int, done: int) -> None:
        """Receive the number of trials, as far as known, and how many are finished."""

    def started(self, plan: Plan) -> None:
        """Receive a plan that was handed to a worker."""

    def progress(self, progress: Progress) -> None:
        """Receive how far a trial is, after each epoch."""

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Receive a plan that ended, and its record."""
