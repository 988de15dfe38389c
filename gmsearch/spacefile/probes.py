"""Assignments that a space is checked with; they do not decide what a study trains."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.experiment import Recipe, recipe_from
from gmsearch.networks import Candidate, candidate_from
from gmsearch.plain import Assignment, Value
from gmsearch.space.counting import count_assignments
from gmsearch.space.domains import Domain, Float, Parameter, Tree, fill_slots, first_value
from gmsearch.space.sampling import draw_value
from gmsearch.space.space import Space
from gmsearch.spacefile.tree import BROKEN

EXHAUSTIVE = 2000
"""Largest number of assignments that are all checked; of a larger space, the random ones."""
_VALUES = 50
"""Values checked of each parameter of a large space."""
_MAX_DRAWN = 300_000
"""Largest number of values drawn, so that a file of thousands of parameters is checked in time."""


def sample(space: Space) -> Iterator[Assignment]:
    """Yield assignments that are not forbidden: all of a small space.

    Of a large space: every value of every parameter once (the ends of a long range), then random
    ones. The baseline comes last.
    """
    total = count_assignments(space.order, ())
    if total is not None and total <= EXHAUSTIVE:
        assignments = space.assignments()
    else:
        limit = _MAX_DRAWN // len(space.order)
        assignments = itertools.islice(itertools.chain(_each_value(space), _random(space)), limit)
    yield from (a for a in assignments if not space.forbidden(a))
    if space.baseline is not None:
        yield space.baseline


def candidates(space: Space) -> Iterator[Candidate]:
    """Yield the different valid candidates of a space, or of a sample of a large one."""
    for tree in _resolved(space, space.model):
        with contextlib.suppress(FieldError):
            yield candidate_from(tree)


def recipes(space: Space) -> Iterator[Recipe]:
    """Yield the different valid recipes of a space, or of a sample of a large one."""
    for tree in _resolved(space, space.train):
        with contextlib.suppress(FieldError):
            yield recipe_from(tree)


def _resolved(space: Space, section: Tree) -> Iterator[Any]:
    """Yield the values of model or recipe under the assignments of a space, each once."""
    if section is None or section is BROKEN:
        return
    by_path = {parameter.path: parameter for parameter in space.parameters}
    seen = set()
    for assignment in sample(space):
        tree = fill_slots(section, assignment, by_path)
        if repr(tree) not in seen:
            seen.add(repr(tree))
            yield tree


def some_values(domain: Domain, limit: int) -> Sequence[Value]:
    """Return up to `limit` members of a domain, the first and the last among them."""
    values = domain.values()
    if isinstance(domain, Float) and values is None:
        return (domain.low, domain.high)
    values = values or ()
    if len(values) <= limit:
        return values
    return (*values[: limit - 1], values[-1])


def variant(space: Space, wishes: Mapping[str, Value]) -> Assignment:
    """Return the assignment with the values of `wishes`, and first values elsewhere."""

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
    """Return values of other parameters that make this one active."""
    wishes: dict[str, Value] = {}
    pending = [parameter]
    while pending:
        for condition in pending.pop().conditions:
            if condition.path not in wishes:
                wishes[condition.path] = condition.values[0]
                pending.append(by_path[condition.path])
    return wishes


def _random(space: Space) -> Iterator[Assignment]:
    rng = random.Random(0)
    for _ in range(EXHAUSTIVE):
        yield space.draw(lambda parameter: draw_value(parameter.domain, rng))
