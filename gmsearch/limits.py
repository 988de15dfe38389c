"""Limits of dataclass fields, written in their annotations and checked wherever one is made.

    lr: Annotated[float, Limit(gt=0)] = 3e-3

`check` reads the annotations of a dataclass and reports every field that breaks them at once.
Pydantic reads the same annotations, so that a space file and Python code share one rule.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from gmsearch.errors import FieldError
from gmsearch.wording import spelled

MAX_SEED = 2**32 - 1
"""The largest seed that every generator in use accepts."""

_BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """Bounds of a number; `odd` restricts an integer to odd values, which pydantic cannot."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    odd: bool = False

    def admits(self, value: float) -> bool:
        """Return whether a number lies within the bounds."""
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and (not self.odd or value % 2 == 1)
        )

    def __str__(self) -> str:
        """Return the bounds in words, such as `from 0 below 1`."""
        bounds = ((word, getattr(self, name)) for name, word in _BOUNDS.items())
        return " ".join(f"{word} {bound:.10g}" for word, bound in bounds if bound is not None)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema of `source` with these bounds; pydantic calls this by name."""
        schema = handler(source)
        bounds = {name: getattr(self, name) for name in _BOUNDS}
        schema.update({name: bound for name, bound in bounds.items() if bound is not None})
        return schema


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A pattern that a word must match as a whole, and what such a word is."""

    pattern: str
    words: str
    """Completes `expected`, such as `the path of a folder`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema of `source` with this pattern."""
        schema = handler(source)
        schema["pattern"] = f"^({self.pattern})$"
        return schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the JSON Schema, described in words."""
        return {**handler(schema), "description": self.words}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A word that must be a key of a table; the table may grow after the annotation is made."""

    table: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema, which reads the table at every check."""
        return {"type": "function-plain", "function": {"type": "no-info", "function": self._key}}

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Callable[[Any], Any]) -> Any:
        """Return the JSON Schema of the keys that the table has now."""
        return {"type": "string", "enum": list(self.table)}

    def _key(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.table:
            message = f"expected one of {', '.join(self.table)}"
            raise ValueError(message)
        return value


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """The fewest items of a tuple."""

    least: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema of `source` with this length."""
        schema = handler(source)
        schema["min_length"] = self.least
        return schema


Positive = Annotated[int, Limit(ge=1)]
Count = Annotated[int, Limit(ge=0)]
OddKernel = Annotated[int, Limit(ge=1, odd=True)]
PositiveNumber = Annotated[float, Limit(gt=0)]
NonNegative = Annotated[float, Limit(ge=0)]
Share = Annotated[float, Limit(ge=0, lt=1)]
"""A number from 0 below 1."""
Probability = Annotated[float, Limit(ge=0, le=1)]
Seed = Annotated[int, Limit(ge=0, le=MAX_SEED)]


def require(condition: bool, path: str, message: str) -> None:  # noqa: FBT001 - reads so
    """Raise FieldError at `path` unless `condition` holds."""
    if not condition:
        raise FieldError(path, message)


def assign(frozen: object, **values: object) -> None:
    """Set fields of a frozen dataclass that is being constructed."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def normalise(frozen: Any) -> None:
    """Give every field of a dataclass instance the one Python type of its annotation.

    In a field `tuple[X, ...]` a list becomes a tuple, and any other value the only item of one;
    in a field of floats an integer becomes a float. What does not fit is left for `check`.
    """
    for name, convert in _conversions(frozen.__class__):
        value = getattr(frozen, name)
        converted = convert(value)
        if converted is not value:
            object.__setattr__(frozen, name, converted)


def build(cls: type[Any], tree: Mapping[str, Any]) -> Any:
    """Return an instance of a dataclass from plain data.

    Raises:
        FieldError: for unknown and missing keys, and for whatever the class refuses.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in tree:
        require(key in fields, key, f"is not a field of {cls.__name__}")
    for name, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        require(name in tree or not needed, name, "is missing")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()})


def check(spec: Any, *more: tuple[bool, str, str]) -> None:
    """Check every field of a dataclass instance against its annotation, then `more`.

    Args:
        spec: An instance of a dataclass.
        more: What annotations cannot say, as (holds, field, message). A field whose annotation
            is already broken is not reported again.

    Raises:
        FieldError: at the first broken field; its `errors` lists all of them.
    """
    errors = field_errors(spec)
    reported = {error.path for error in errors}
    errors += [
        FieldError(path, message)
        for holds, path, message in more
        if not holds and path.split(".")[0] not in reported
    ]
    raise_all(errors)


def field_errors(spec: Any) -> list[FieldError]:
    """Return an error for every field of a dataclass instance that breaks its annotation."""
    return [
        FieldError(name, message)
        for name, problem in _problems(spec.__class__)
        if (message := problem(getattr(spec, name))) is not None
    ]


def broken(spec: Any) -> set[str]:
    """Return the names of the fields that break their annotation."""
    return {error.path for error in field_errors(spec)}


def raise_all(errors: Sequence[FieldError]) -> None:
    """Raise the first error with all of them in `errors`; do nothing where there is none."""
    if errors:
        first = FieldError(errors[0].path, errors[0].message)
        first.errors = tuple(errors)
        raise first


_Convert = Callable[[Any], Any]


@functools.cache
def _conversions(cls: type) -> tuple[tuple[str, _Convert], ...]:
    """Return the fields that `normalise` may change, with what it makes of a value."""
    hints = typing.get_type_hints(cls)
    pairs = ((f.name, _conversion(hints[f.name])) for f in dataclasses.fields(cls))
    return tuple((name, convert) for name, convert in pairs if convert is not None)


def _conversion(hint: Any) -> _Convert | None:
    if hint is float:
        return _as_float
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
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


_Problem = Callable[[Any], "str | None"]


@functools.cache
def _problems(cls: type) -> tuple[tuple[str, _Problem], ...]:
    """Return, per checked field, a function from a value to what is wrong with it."""
    hints = typing.get_type_hints(cls, include_extras=True)
    pairs = ((f.name, _problem(hints[f.name])) for f in dataclasses.fields(cls))
    return tuple((name, problem) for name, problem in pairs if problem is not None)


def _problem(hint: Any) -> _Problem | None:
    """Return the check of a type hint; None for a type that checks itself or is not plain."""
    admits = _admits(hint)
    if admits is None:
        return None

    def problem(value: Any) -> str | None:
        if admits(value):
            return None
        return f"expected {' or '.join(_words(hint))}, got {_spelled(value)}"

    return problem


def _spelled(value: Any) -> str:
    return repr(value) if isinstance(value, str) else spelled(value)


_TYPES: dict[Any, Callable[[Any], bool]] = {
    int: lambda v: isinstance(v, int) and not isinstance(v, bool),
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


def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a hint without its metadata, and the metadata."""
    if typing.get_origin(hint) is Annotated:
        inner, *metadata = typing.get_args(hint)
        return inner, tuple(metadata)
    return hint, ()


def _admits(hint: Any) -> Callable[[Any], bool] | None:
    inner, metadata = _parts(hint)
    base = _admits_bare(inner)
    if base is None:
        return None
    if inner is int and len(metadata) == 1 and isinstance(metadata[0], Limit):
        return _admits_int(metadata[0])
    tests: list[Callable[[Any], bool]] = [base]
    for item in metadata:
        if isinstance(item, Limit):
            tests.append(item.admits)
        elif isinstance(item, Text):
            tests.append(functools.partial(_matches, re.compile(item.pattern)))
        elif isinstance(item, Length):
            tests.append(functools.partial(_long_enough, item.least))
        elif isinstance(item, OneOf):
            tests.append(item.table.__contains__)
    if len(tests) == 1:
        return base
    return lambda value: all(test(value) for test in tests)


def _admits_int(limit: Limit) -> Callable[[Any], bool]:
    """Return the check of a bounded integer, a plain one within its bounds first."""
    is_int = _TYPES[int]
    if limit == Limit(ge=limit.ge) and (least := limit.ge) is not None:
        return lambda value: (type(value) is int or is_int(value)) and value >= least
    return lambda value: is_int(value) and limit.admits(value)


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
        return lambda value: any(type(value) is type(a) and value == a for a in arguments)
    if origin in (typing.Union, types.UnionType):
        options = [_admits(argument) for argument in arguments]
        known = [option for option in options if option is not None]
        if len(known) < len(options):
            return None
        return lambda value: any(option(value) for option in known)
    if origin is tuple:
        return _admits_tuple(arguments)
    return None


def _admits_tuple(arguments: tuple[Any, ...]) -> Callable[[Any], bool] | None:
    if arguments[-1] is Ellipsis:
        one = _admits(arguments[0])
        if one is None:
            return None
        return lambda value: isinstance(value, tuple) and all(map(one, value))
    items = [_admits(argument) for argument in arguments]
    known = [item for item in items if item is not None]
    if len(known) < len(items):
        return None
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(known)
        and all(test(item) for test, item in zip(known, value, strict=True))
    )


def _words(hint: Any) -> Iterator[str]:
    """Yield what a hint asks for, one text per alternative."""
    inner, metadata = _parts(hint)
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
        named = ", ".join(_spelled(a) if one else spelled(a) for a in arguments)
        yield named if one else f"one of {named}"
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _words(argument)
    elif origin is tuple and arguments[-1] is Ellipsis:
        least = next((item.least for item in metadata if isinstance(item, Length)), None)
        some = "a list" if least is None else f"a list of at least {least}"
        yield f"{some}, each {' or '.join(_words(arguments[0]))}"
    elif origin is tuple:
        yield f"a list [{', '.join(' or '.join(_words(a)) for a in arguments)}]"
