"""Proposals and outcomes, which a sampler and the driver exchange, and the sampler's interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from gmsearch.plain import Assignment


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """One arm to try."""

    number: int
    """Position among the proposals of the study, from 0."""
    assignment: Assignment
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """State that the sampler needs to resume, as JSON; not used by anything else."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Result of one proposal, averaged over its seeds."""

    number: int
    state: Literal["complete", "pruned", "infeasible", "failed"]
    values: tuple[float, ...] | None = None
    """Objectives in the order of the space; complete proposals only."""
    violations: tuple[float, ...] = ()
    """Excess over each constraint; <= 0 where it holds."""


class Sampler(Protocol):
    """Ask and tell. A replayed sampler continues exactly as one that was never interrupted."""

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return the next batch of at most `n` arms; an empty one when nothing new is left."""

    def tell(self, outcome: Outcome) -> None:
        """Record the outcome of a proposal."""

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:
        """Record the asks and outcomes of an earlier process, before asking for anything new.

        Args:
            asks: All earlier proposals, in order.
            outcomes: Outcomes of some or all of them.
        """
