"""Methods whose asks are already written down: the full factorial, and one factor at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from gmsearch.errors import FieldError
from gmsearch.experiment import Assignment, Value
from gmsearch.search.arms import Arms
from gmsearch.search.proposal import Outcome, Proposal
from gmsearch.space import Parameter, Space


class Listed:
    """Proposes a list in its order, each arm once; a batch is all that is left."""

    def __init__(self, space: Space, assignments: Iterator[Assignment]) -> None:
        """Keep the list unread: it may be long."""
        self._arms = Arms(space)
        self._assignments = assignments
        self._asked = 0

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return the next `n` arms, or all that are left."""
        new = itertools.islice(filter(self._arms.admit, self._assignments), n)
        batch = [Proposal(number=self._asked + i, assignment=a) for i, a in enumerate(new)]
        self._asked += len(batch)
        return batch

    def tell(self, outcome: Outcome) -> None:
        """Learn nothing."""

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 - nothing is learnt
        """Pass over what was asked before, wherever it stands in the list."""
        for proposal in asks:
            self._arms.admit(proposal.assignment)
        self._asked += len(asks)


def grid(space: Space) -> Listed:
    """Return the full factorial in the order of the file, after the baseline if there is one."""
    return Listed(space, itertools.chain(_baseline(space), space.assignments()))


def ablation(space: Space) -> Listed:
    """Return the baseline, then every other value of one parameter after the other.

    The other parameters stay at the baseline. Where a changed value makes parameters active
    that the baseline does not have, there is nothing to hold them at: each of their values is
    tried, together where there are several.
    """
    return Listed(space, itertools.chain(_baseline(space), _one_factor_at_a_time(space)))


def _baseline(space: Space) -> list[Assignment]:
    return [] if space.baseline is None else [space.baseline]


def _one_factor_at_a_time(space: Space) -> Iterator[Assignment]:
    baseline = space.baseline or {}
    for parameter in space.parameters:
        if parameter.path in baseline:
            for value in _values(parameter):
                yield from _completions(space, {**baseline, parameter.path: value})


def _completions(space: Space, fixed: Mapping[str, Value]) -> Iterator[Assignment]:
    """Return every assignment in which the parameters of `fixed`, where active, are as given."""
    # An odometer: one wheel for every free parameter met on the way, and where it stands.
    wheels: list[Sequence[Value]] = []
    stands: list[int] = []
    while True:
        wheels.clear()

        def suggest(parameter: Parameter) -> Value:
            if parameter.path in fixed:
                return fixed[parameter.path]
            wheels.append(_values(parameter))
            if len(wheels) > len(stands):
                stands.append(0)
            return wheels[-1][stands[len(wheels) - 1]]

        yield space.draw(suggest)
        while stands and stands[-1] == len(wheels[len(stands) - 1]) - 1:
            stands.pop()
        if not stands:
            return
        stands[-1] += 1


def _values(parameter: Parameter) -> Sequence[Value]:
    values = parameter.domain.values()
    if values is None:
        raise FieldError(parameter.path, "cannot be listed; give the domain `steps: n`")
    return values
