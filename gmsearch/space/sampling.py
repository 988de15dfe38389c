"""Assignments of a space to judge it by; what a study tries next is not decided here."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

from gmsearch.experiment import Assignment, Value
from gmsearch.space.counting import count_assignments
from gmsearch.space.domains import Domain, Float, Parameter, first_value
from gmsearch.space.space import Space

EXHAUSTIVE = 2000
"""Up to so many assignments all are taken; of a larger space, as many at random."""
_VALUES = 50
_WORK = 300_000
"""Most values drawn in all, so that a file of thousands of parameters is answered as well."""


def sample(space: Space) -> Iterator[Assignment]:
    """Yield assignments that are not forbidden: all of a small space.

    Of a large one: every value of every parameter once (of a long range, its ends), and random
    ones. The baseline comes last.
    """
    total = count_assignments(space.order, ())
    if total is not None and total <= EXHAUSTIVE:
        candidates = space.assignments()
    else:
        most = _WORK // len(space.order)
        candidates = itertools.islice(itertools.chain(_each_value(space), _random(space)), most)
    yield from (a for a in candidates if not space.forbidden(a))
    if space.baseline is not None:
        yield space.baseline


def some_values(domain: Domain, most: int) -> Sequence[Value]:
    """Return up to `most` members of a domain, first and last among them."""
    values = domain.values()
    if isinstance(domain, Float) and values is None:
        return (domain.low, domain.high)
    values = values or ()
    if len(values) <= most:
        return values
    return (*values[: most - 1], values[-1])


def variant(space: Space, wishes: Mapping[str, Value]) -> Assignment:
    """Return the assignment nearest to `wishes`: where there is none, the first value."""

    def suggest(parameter: Parameter) -> Value:
        if parameter.path in wishes:
            return wishes[parameter.path]
        return first_value(parameter.domain)

    return space.draw(suggest)


def _each_value(space: Space) -> Iterator[Assignment]:
    by_path = {parameter.path: parameter for parameter in space.parameters}
    for parameter in space.parameters:
        needed = _needed(parameter, by_path)
        for value in some_values(parameter.domain, _VALUES):
            yield variant(space, {**needed, parameter.path: value})


def _needed(parameter: Parameter, by_path: Mapping[str, Parameter]) -> dict[str, Value]:
    """Return values of other parameters under which this one exists."""
    wishes: dict[str, Value] = {}
    pending = [parameter]
    while pending:
        for condition in pending.pop().conditions:
            if condition.path not in wishes:
                wishes[condition.path] = condition.values[0]
                pending.append(by_path[condition.path])
    return wishes


def _random(space: Space) -> Iterator[Assignment]:
    generator = random.Random(0)

    def suggest(parameter: Parameter) -> Value:
        domain = parameter.domain
        values = domain.values()
        if isinstance(domain, Float) and values is None:
            return generator.uniform(domain.low, domain.high)
        return generator.choice(values or ())

    for _ in range(EXHAUSTIVE):
        yield space.draw(suggest)
