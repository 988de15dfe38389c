"""The samplers of `grid` and `ablation`: lists that are known in advance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from gmsearch.errors import FieldError
from gmsearch.plain import Assignment, Value
from gmsearch.search.proposal import Outcome, Proposal
from gmsearch.space import Parameter, SeenArms, Space


class Ordered:
    """Proposes the arms of a list in order, each once; a batch is everything that is left."""

    def __init__(self, space: Space, assignments: Iterator[Assignment]) -> None:
        """Keep the list unread; it may be long."""
        self._seen = SeenArms(space)
        self._assignments = assignments
        self._asked = 0

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return the next `n` arms, or all that are left."""
        new = itertools.islice(filter(self._seen.admit, self._assignments), n)
        batch = [Proposal(number=self._asked + i, assignment=a) for i, a in enumerate(new)]
        self._asked += len(batch)
        return batch

    def tell(self, outcome: Outcome) -> None:
        """Ignore the outcome."""

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 - outcomes are ignored
        """Skip earlier proposals, wherever they are in the list."""
        for proposal in asks:
            self._seen.admit(proposal.assignment)
        self._asked += len(asks)


def grid(space: Space) -> Ordered:
    """Return the full factorial in the order of the file, after the baseline if there is one."""
    return Ordered(space, itertools.chain(_baseline(space), space.assignments()))


def ablation(space: Space) -> Ordered:
    """Return the baseline, then every other value of each parameter in turn.

    The other parameters stay at the baseline. Where a changed value makes parameters active that
    the baseline does not have, all combinations of their values are tried.
    """
    return Ordered(space, itertools.chain(_baseline(space), _one_factor_at_a_time(space)))


def _baseline(space: Space) -> list[Assignment]:
    return [] if space.baseline is None else [space.baseline]


def _one_factor_at_a_time(space: Space) -> Iterator[Assignment]:
    baseline = space.baseline or {}
    for parameter in space.parameters:
        if parameter.path in baseline:
            for value in _values(parameter):
                yield from _completions(space, {**baseline, parameter.path: value})


def _completions(space: Space, fixed: Mapping[str, Value]) -> Iterator[Assignment]:
    """Yield every assignment in which the active parameters of `fixed` have its values."""
    # An odometer: one wheel per free parameter met on the way, and the position of each wheel.
    wheels: list[Sequence[Value]] = []
    positions: list[int] = []
    while True:
        wheels.clear()

        def suggest(parameter: Parameter) -> Value:
            if parameter.path in fixed:
                return fixed[parameter.path]
            wheels.append(_values(parameter))
            if len(wheels) > len(positions):
                positions.append(0)
            return wheels[-1][positions[len(wheels) - 1]]

        yield space.draw(suggest)
        while positions and positions[-1] == len(wheels[len(positions) - 1]) - 1:
            positions.pop()
        if not positions:
            return
        positions[-1] += 1


def _values(parameter: Parameter) -> Sequence[Value]:
    values = parameter.domain.values()
    if values is None:
        raise FieldError(parameter.path, "a continuous domain cannot be listed; add `steps: N`")
    return values
