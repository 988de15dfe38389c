"""Which running trials stop early."""

from __future__ import annotations

from typing import Protocol

from gmsearch.experiment import Decision, Progress


class Scheduler(Protocol):
    """Early stopping: decides after each epoch of a trial, from its metrics on the holdout."""

    def decide(self, progress: Progress) -> Decision:
        """Return whether the trial continues or stops after this epoch."""
