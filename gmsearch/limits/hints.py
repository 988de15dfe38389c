"""Type hints: the test of a value, its description in words, and conversion to the type."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

from gmsearch.limits.annotations import Length, Limit, OneOf, Text
from gmsearch.wording import spelled

Admits = Callable[[Any], bool]
Convert = Callable[[Any], Any]

_UNIONS = (typing.Union, types.UnionType)


def expected(hint: Any) -> str:
    """Return what a type hint requires, in words that complete `expected`."""
    return " or ".join(_words(hint))


def spelled_value(value: Any) -> str:
    """Return a value as a file spells it, words in quotes."""
    return repr(value) if isinstance(value, str) else spelled(value)


_TYPES: dict[Any, Callable[[Any], bool]] = {
    int: lambda v: type(v) is int or (isinstance(v, int) and not isinstance(v, bool)),
    float: lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v),
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    type(None): lambda v: v is None,
}
_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a word",
    bool: "true or false",
    type(None): "none",
}


def _metadata(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a hint without its metadata, and the metadata."""
    if typing.get_origin(hint) is Annotated:
        inner, *metadata = typing.get_args(hint)
        return inner, tuple(metadata)
    return hint, ()


def admits(hint: Any) -> Admits | None:
    """Return the test of a type hint; None for a type that is not plain."""
    inner, metadata = _metadata(hint)
    test = _admits_bare(inner)
    if test is not None:
        for item in metadata:
            if (own := _limit_test(item)) is not None:
                test = _both(test, own)
    return test


def _both(first: Admits, second: Admits) -> Admits:
    return lambda value: first(value) and second(value)


def _limit_test(item: Any) -> Admits | None:
    """Return the test of one annotation; None for an annotation that is not of this package."""
    if isinstance(item, Limit):
        return _limit_test_of_number(item)
    if isinstance(item, Text):
        return functools.partial(_matches, re.compile(item.pattern))
    if isinstance(item, Length):
        return functools.partial(_long_enough, item.least)
    return item.table.__contains__ if isinstance(item, OneOf) else None


def _limit_test_of_number(limit: Limit) -> Admits:
    """Return `limit.admits`, its most frequent cases in one comparison."""
    for name, test in _COMPARISONS.items():
        bound = getattr(limit, name)
        if bound is not None and limit == Limit(**{name: bound}):
            return functools.partial(test, bound)
    return limit.admits


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"ge": operator.le, "gt": operator.lt}
"""Comparisons that take the bound first."""


def _matches(pattern: re.Pattern[str], value: str) -> bool:
    return pattern.fullmatch(value) is not None


def _long_enough(least: int, value: Sequence[Any]) -> bool:
    return len(value) >= least


def _admits_bare(hint: Any) -> Callable[[Any], bool] | None:
    if hint in _TYPES:
        return _TYPES[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return lambda value: isinstance(value, hint)
    return _admits_generic(hint)


def _admits_generic(hint: Any) -> Callable[[Any], bool] | None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if all(type(a) is str for a in arguments):
            return lambda value: type(value) is str and value in arguments
        return lambda value: any(type(value) is type(a) and value == a for a in arguments)
    if origin in _UNIONS:
        options = [admits(argument) for argument in arguments]
        known = [option for option in options if option is not None]
        if len(known) < len(options):
            return None
        return lambda value: any(option(value) for option in known)
    if origin is tuple:
        return _admits_tuple(arguments)
    return None


def _admits_tuple(arguments: tuple[Any, ...]) -> Callable[[Any], bool] | None:
    if arguments[-1] is Ellipsis:
        one = admits(arguments[0])
        if one is None:
            return None
        return functools.partial(_admits_all, one)
    items = [admits(argument) for argument in arguments]
    known = [item for item in items if item is not None]
    if len(known) < len(items):
        return None
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(known)
        and all(test(item) for test, item in zip(known, value, strict=True))
    )


def _admits_all(test: Admits, value: Any) -> bool:
    return isinstance(value, tuple) and all(map(test, value))


def _words(hint: Any) -> Iterator[str]:
    """Yield what a hint requires, one text per alternative."""
    inner, metadata = _metadata(hint)
    origin, arguments = typing.get_origin(inner), typing.get_args(inner)
    limits = [item for item in metadata if isinstance(item, Limit)]
    if texts := [item.words for item in metadata if isinstance(item, Text)]:
        yield texts[0]
    elif tables := [item.table for item in metadata if isinstance(item, OneOf)]:
        yield f"one of {', '.join(tables[0])}"
    elif inner in _NAMES:
        name = "an odd integer" if any(limit.odd for limit in limits) else _NAMES[inner]
        yield " ".join([name, *filter(None, map(str, limits))])
    elif isinstance(inner, type) and dataclasses.is_dataclass(inner):
        yield f"a {inner.__name__}"
    elif origin is Literal:
        one = len(arguments) == 1
        named = ", ".join(spelled_value(a) if one else spelled(a) for a in arguments)
        yield named if one else f"one of {named}"
    elif origin in _UNIONS:
        for argument in arguments:
            yield from _words(argument)
    elif origin is tuple and arguments[-1] is Ellipsis:
        least = next((item.least for item in metadata if isinstance(item, Length)), None)
        some = "a list" if least is None else f"a list of at least {least}"
        yield f"{some}, each {' or '.join(_words(arguments[0]))}"
    elif origin is tuple:
        yield f"a list [{', '.join(' or '.join(_words(a)) for a in arguments)}]"


def conversion(hint: Any) -> Convert | None:
    """Return how `normalise` changes a value of a field; None where it never does."""
    if hint is float:
        return _as_float
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in _UNIONS:
        if float in arguments and int not in arguments:
            return _as_float
        return _as_tuple if any(typing.get_origin(a) is tuple for a in arguments) else None
    if typing.get_origin(hint) is not tuple:
        return None
    if arguments[-1] is not Ellipsis:
        return _as_floats if set(arguments) == {float} else _as_tuple
    return _listed_floats if arguments[0] is float else _listed


def _as_float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_floats(value: Any) -> Any:
    value = _as_tuple(value)
    if isinstance(value, tuple) and any(type(item) is int for item in value):
        return tuple(map(_as_float, value))
    return value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _listed_floats(value: Any) -> Any:
    return _as_floats(_listed(value))
