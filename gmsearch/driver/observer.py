"""Who is told how a study goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gmsearch.experiment import Plan, Progress


class Observer(Protocol):
    """Who wants to know how a study goes: a live view, or plain lines."""

    def planned(self, total: int, done: int) -> None:
        """Say how many trials the study has, as far as known, and how many are finished."""

    def started(self, plan: Plan) -> None:
        """Say that a plan was handed to a worker."""

    def progress(self, progress: Progress) -> None:
        """Say how far a trial is."""

    def finished(self, plan: Plan, record: Mapping[str, Any]) -> None:
        """Say how a plan ended."""
