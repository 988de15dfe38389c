"""Checks of dataclass instances against their annotations, and instances from plain data."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.limits.hints import Admits, Convert, admits, conversion, expected, spelled_value


def require(condition: bool, path: str, message: str) -> None:  # noqa: FBT001 - reads so
    """Raise FieldError at `path` unless `condition` holds."""
    if not condition:
        raise FieldError(path, message)


def assign(frozen: object, **values: object) -> None:
    """Set fields of a frozen dataclass that is being constructed."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def normalise(frozen: Any) -> None:
    """Convert every field of a dataclass instance to the Python type of its annotation.

    In a field `tuple[X, ...]` a list becomes a tuple, and any other value the only item of one;
    in a field of floats an integer becomes a float. Values that do not fit are left for `check` to
    report.
    """
    for name, convert in _conversions(frozen.__class__):
        value = getattr(frozen, name)
        converted = convert(value)
        if converted is not value:
            object.__setattr__(frozen, name, converted)


def instance_from(cls: type[Any], tree: Mapping[str, Any]) -> Any:
    """Return an instance of a dataclass from plain data.

    Raises:
        FieldError: for unknown and missing keys, and for values that the class refuses.
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
        FieldError(name, f"expected {expected(hint)}, got {spelled_value(getattr(spec, name))}")
        for name, fits, hint in _tests(spec.__class__)
        if not fits(getattr(spec, name))
    ]


def broken(spec: Any) -> set[str]:
    """Return the names of the fields that break their annotation."""
    return {error.path for error in field_errors(spec)}


def raise_all(errors: Sequence[FieldError]) -> None:
    """Raise the first error with all of them in `errors`; do nothing if there are none."""
    if errors:
        first = FieldError(errors[0].path, errors[0].message)
        first.errors = tuple(errors)
        raise first


@functools.cache
def _tests(cls: type) -> tuple[tuple[str, Admits, Any], ...]:
    """Return the name, test and type hint of every field that has a test."""
    hints = typing.get_type_hints(cls, include_extras=True)
    triples = ((f.name, admits(hints[f.name]), hints[f.name]) for f in dataclasses.fields(cls))
    return tuple((name, fits, hint) for name, fits, hint in triples if fits is not None)


@functools.cache
def _conversions(cls: type) -> tuple[tuple[str, Convert], ...]:
    """Return the fields that `normalise` may change, and how."""
    hints = typing.get_type_hints(cls)
    pairs = ((f.name, conversion(hints[f.name])) for f in dataclasses.fields(cls))
    return tuple((name, convert) for name, convert in pairs if convert is not None)
