"""The words between a sampler and the driver: proposal, outcome, and what a sampler can do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from gmsearch.experiment import Assignment


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """One arm to try."""

    number: int
    """Counts the proposals of a study from 0."""
    assignment: Assignment
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the sampler needs to find its place again; JSON, and nobody else's business."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one proposal, the mean over its seeds."""

    number: int
    state: Literal["complete", "pruned", "infeasible", "failed"]
    values: tuple[float, ...] | None = None
    """In the order of the space's objectives; for complete ones only."""
    violations: tuple[float, ...] = ()
    """By how much each constraint is broken; <= 0 where it holds."""


class Sampler(Protocol):
    """Ask and tell. A sampler that was replayed goes on as one that was never interrupted."""

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return the next batch, at most `n`; none when there is nothing new to propose."""

    def tell(self, outcome: Outcome) -> None:
        """Learn what became of a proposal."""

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:
        """Take up, before anything was asked, what an earlier process asked and was told.

        Args:
            asks: all of them, in their order.
            outcomes: of some or all of them.
        """
