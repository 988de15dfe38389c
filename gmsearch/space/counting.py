"""All assignments of a space, one by one; and their number, without going through them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, cast

from gmsearch.errors import FieldError
from gmsearch.plain import Assignment, Value
from gmsearch.space.domains import Parameter

_ABSENT: Final = object()
_END: Final = object()
_REST: Final = object()
"""All values that no condition and no entry of `forbid` names."""


def enumerate_assignments(order: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
    """Yield every assignment, the last parameter of `order` changing fastest.

    Raises:
        FieldError: at the call, for a continuous domain.
    """
    continuous = next((p.path for p in order if p.domain.values() is None), None)
    if continuous is not None:
        raise FieldError(continuous, "is continuous; give its domain `steps: n` to enumerate it")
    return _walk(order)


def _walk(order: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
    taken: dict[str, Value] = {}
    levels: list[Iterator[Value | object]] = []
    while True:
        if len(levels) == len(order):
            yield dict(taken)
        else:
            parameter = order[len(levels)]
            active = parameter.active(taken)
            levels.append(iter(parameter.domain.values() or ()) if active else iter((_ABSENT,)))
        while levels:
            path = order[len(levels) - 1].path
            value = next(levels[-1], _END)
            taken.pop(path, None)
            if value is not _END:
                break
            levels.pop()
        else:
            return
        if value is not _ABSENT:
            taken[path] = value  # type: ignore[assignment]


def count_assignments(order: Sequence[Parameter], forbid: Sequence[Assignment]) -> int | None:
    """Return how many assignments no entry of `forbid` matches; None if infinitely many.

    Goes through the parameters once, counting together what is decided alike from there on: the
    values that nothing names, and the histories that leave the same entries of `forbid` open and
    the same values to conditions still to come.
    """
    position = {parameter.path: index for index, parameter in enumerate(order)}
    closes = [max(position[path] for path in entry) for entry in forbid]
    last_use = {c.path: position[p.path] for p in order for c in p.conditions}
    named = _named_values(order, forbid)
    states: dict[_State, int] = {_State(frozenset(range(len(forbid))), (), infinite=False): 1}
    for index, parameter in enumerate(order):
        path = parameter.path
        following: dict[_State, int] = {}
        for state, ways in states.items():
            for value, multiplicity in _value_classes(parameter, dict(state.taken), named[path]):
                alive = {i for i in state.alive if forbid[i].get(path, value) == value}
                if any(closes[i] == index for i in alive):
                    continue
                taken = (*state.taken, (path, value)) if value is not _ABSENT else state.taken
                key = _State(
                    frozenset(alive),
                    tuple((p, v) for p, v in taken if last_use.get(p, -1) > index),
                    infinite=state.infinite or multiplicity is None,
                )
                following[key] = following.get(key, 0) + ways * (multiplicity or 1)
        states = following
    return None if any(state.infinite for state in states) else sum(states.values())


@dataclasses.dataclass(frozen=True, slots=True)
class _State:
    alive: frozenset[int]
    """Entries of `forbid` that the values taken so far may still match."""
    taken: tuple[tuple[str, object], ...]
    """Values of the parameters that later conditions depend on."""
    infinite: bool


def _named_values(
    order: Sequence[Parameter], forbid: Sequence[Assignment]
) -> dict[str, dict[Value, None]]:
    """Return, by parameter, the values that conditions and `forbid` name."""
    named: dict[str, dict[Value, None]] = {parameter.path: {} for parameter in order}
    for condition in (c for parameter in order for c in parameter.conditions):
        named[condition.path] |= dict.fromkeys(condition.values)
    for path, value in (item for entry in forbid for item in entry.items()):
        named[path][value] = None
    return named


def _value_classes(
    parameter: Parameter, taken: Mapping[str, object], named: Collection[Value]
) -> list[tuple[object, int | None]]:
    """Return one value per class, with the size of the class; None for a continuum."""
    if not parameter.active(cast("Assignment", taken)):
        return [(_ABSENT, 1)]
    values = parameter.domain.values()
    single: list[tuple[object, int | None]] = [(value, 1) for value in named]
    if values is None:
        return [*single, (_REST, None)]
    rest = len(values) - len(named)
    return [*single, (_REST, rest)] if rest else single
