"""Random draws from a space: values, assignments, and arms that were not drawn before."""

from __future__ import annotations

import itertools
import logging
import math
import random
from typing import TYPE_CHECKING

from gmsearch.errors import FieldError
from gmsearch.plain import Assignment, Value
from gmsearch.space.domains import Domain, Float, Int

if TYPE_CHECKING:
    from gmsearch.space.space import Space

_TRIES = 200
_ENUMERATED = 20_000

_log = logging.getLogger(__name__)


def draw_value(domain: Domain, rng: random.Random) -> Value:
    """Return one value, uniform over the members or, where the domain asks, their logarithm."""
    if isinstance(domain, Float):
        points = domain.values()
        if points is not None:
            return rng.choice(points)
        if not domain.log:
            return rng.uniform(domain.low, domain.high)
        drawn = math.exp(rng.uniform(math.log(domain.low), math.log(domain.high)))
        return min(max(drawn, domain.low), domain.high)
    if isinstance(domain, Int) and domain.log:
        # Each integer takes the half on either side of it, so that none is favoured.
        drawn = math.exp(rng.uniform(math.log(domain.low - 0.5), math.log(domain.high + 0.5)))
        return min(max(round(drawn), domain.low), domain.high)
    return rng.choice(domain.values())


class SeenArms:
    """The arms proposed so far, by digest: a new arm is allowed, valid and not among them."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._seen: set[str] = set()
        self._warned: set[str] = set()

    def digest(self, assignment: Assignment) -> str | None:
        """Return the digest of the arm; None where it is forbidden or cannot be built.

        Values that do not fit each other are skipped like forbidden ones, each reason logged
        once.
        """
        if self._space.forbidden(assignment):
            return None
        try:
            return self._space.arm(assignment).digest
        except FieldError as error:
            if str(error) not in self._warned:
                self._warned.add(str(error))
                _log.warning("skipped %s: %s; forbid it", dict(assignment), error)
            return None

    def seen(self, digest: str) -> bool:
        """Return whether an arm was proposed before."""
        return digest in self._seen

    def admit(self, assignment: Assignment) -> bool:
        """Record an arm as proposed; return False where it is invalid or was proposed before."""
        digest = self.digest(assignment)
        if digest is None or digest in self._seen:
            return False
        self._seen.add(digest)
        return True


class ArmDrawer:
    """Draws new arms, uniform (or log-uniform) in every parameter.

    When draws give nothing new, the remaining arms of a finite space are listed, so that a small
    space is used up to its last arm and every draw ends.
    """

    def __init__(self, space: Space, seen: SeenArms | None = None) -> None:
        """Draw from `space`; a sampler shares the arms it has proposed itself."""
        self._space = space
        self._arms = SeenArms(space) if seen is None else seen
        self._rest: list[tuple[str, Assignment]] | None = None

    def draw(self, rng: random.Random) -> Assignment | None:
        """Return a new arm, recorded as proposed; None when none is left."""
        for _ in range(_TRIES):
            assignment = self._space.draw(lambda parameter: draw_value(parameter.domain, rng))
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
