"""The sampler of `random`: new arms drawn uniformly."""

from __future__ import annotations

import random
from collections.abc import Sequence

from gmsearch.plain import Assignment
from gmsearch.search.proposal import Outcome, Proposal
from gmsearch.seeds import sampler_seed
from gmsearch.space import ArmDrawer, SeenArms, Space

_BATCH = 64


class Random:
    """Proposes new arms at random; the draw of a proposal depends on its number alone."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._seen = SeenArms(space)
        self._drawer = ArmDrawer(space, self._seen)
        self._asked = 0

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return `n` new arms, the baseline first; fewer at the end of a finite space."""
        batch: list[Proposal] = []
        for number in range(self._asked, self._asked + (_BATCH if n is None else n)):
            assignment = self._next(number)
            if assignment is None:
                break
            batch.append(Proposal(number=number, assignment=assignment))
        self._asked += len(batch)
        return batch

    def tell(self, outcome: Outcome) -> None:
        """Ignore the outcome."""

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 - outcomes are ignored
        """Record earlier proposals."""
        for proposal in asks:
            self._seen.admit(proposal.assignment)
        self._asked += len(asks)

    def _next(self, number: int) -> Assignment | None:
        if number == 0 and self._space.baseline is not None:
            self._seen.admit(self._space.baseline)
            return self._space.baseline
        return self._drawer.draw(random.Random(sampler_seed(self._space.search.seed, number)))
