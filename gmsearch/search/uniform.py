"""Uniform draws of arms not proposed yet: a method of its own, and the resort of others."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

from gmsearch.experiment import Assignment, Value
from gmsearch.plain import digest
from gmsearch.search.arms import Arms
from gmsearch.search.proposal import Outcome, Proposal
from gmsearch.space import Domain, Float, Int, Space

_TRIES = 200
_ENUMERATED = 20_000
_BATCH = 64


def seeded(seed: int, asked: int) -> int:
    """Return a seed of 32 bits for what is drawn after `asked` proposals.

    A sampler that went on with the seed it began with would propose its own start again.
    """
    return int(digest([seed, asked])[:8], 16)


class Uniform:
    """Draws new arms, uniform (or log-uniform) in every parameter.

    When draws meet nothing new, what is left of a finite space is listed, so that a small space
    is exhausted to its last arm and a draw never takes for ever.
    """

    def __init__(self, space: Space, arms: Arms) -> None:
        """Share the arms seen with the sampler that draws."""
        self._space = space
        self._arms = arms
        self._rest: list[tuple[str, Assignment]] | None = None

    def draw(self, rng: random.Random) -> Assignment | None:
        """Return a new arm, counted as proposed; None when there is none left."""
        for _ in range(_TRIES):
            assignment = self._space.draw(lambda parameter: sample(parameter.domain, rng))
            if self._arms.admit(assignment):
                return assignment
        self._rest = [item for item in self._listed() if not self._arms.seen(item[0])]
        if not self._rest:
            return None
        _, assignment = rng.choice(self._rest)
        self._arms.admit(assignment)
        return assignment

    def _listed(self) -> list[tuple[str, Assignment]]:
        if self._rest is not None:
            return self._rest
        if any(parameter.domain.values() is None for parameter in self._space.parameters):
            return []
        first = itertools.islice(self._space.assignments(), _ENUMERATED)
        arms = ((self._arms.digest(assignment), assignment) for assignment in first)
        return [(known, assignment) for known, assignment in arms if known is not None]


def sample(domain: Domain, rng: random.Random) -> Value:
    """Draw one value, evenly over its members or, where the domain says so, their logarithm."""
    if isinstance(domain, Float):
        points = domain.values()
        if points is not None:
            return rng.choice(points)
        if not domain.log:
            return rng.uniform(domain.low, domain.high)
        drawn = math.exp(rng.uniform(math.log(domain.low), math.log(domain.high)))
        return min(max(drawn, domain.low), domain.high)
    if isinstance(domain, Int) and domain.log:
        # Each integer stands for the half on either side of it, so that none is favoured.
        drawn = math.exp(rng.uniform(math.log(domain.low - 0.5), math.log(domain.high + 0.5)))
        return min(max(round(drawn), domain.low), domain.high)
    return rng.choice(domain.values())


class Random:
    """Proposes new arms at random; the draw of a proposal follows from its number alone."""

    def __init__(self, space: Space) -> None:
        """Begin with nothing proposed."""
        self._space = space
        self._arms = Arms(space)
        self._uniform = Uniform(space, self._arms)
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
        """Learn nothing."""

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 - nothing is learnt
        """Count what was asked before as proposed."""
        for proposal in asks:
            self._arms.admit(proposal.assignment)
        self._asked += len(asks)

    def _next(self, number: int) -> Assignment | None:
        if number == 0 and self._space.baseline is not None:
            self._arms.admit(self._space.baseline)
            return self._space.baseline
        return self._uniform.draw(random.Random(seeded(self._space.search.seed, number)))
