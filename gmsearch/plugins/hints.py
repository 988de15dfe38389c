"""Types of the arguments of a family or data set: which can be searched, and their JSON."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from gmsearch.errors import PluginError
from gmsearch.limits import Length, Limit
from gmsearch.plain import frozen, plain
from gmsearch.plugins.parts import Argument

_LEAVES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_SUPPORTED = "int, float, str, bool, Literal, a tuple or list of these, or one of them or None"
_REFUSED: dict[Any, str] = {
    inspect.Parameter.POSITIONAL_ONLY: "",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def arguments_of(
    make: Callable[..., Any], what: str, given: tuple[str, ...]
) -> dict[str, Argument]:
    """Return the searchable arguments of a class, function or dataclass, in their order.

    Args:
        make: what is called with these arguments.
        what: how a message names it, such as `family my_net`.
        given: arguments that gmsearch passes itself.

    Raises:
        PluginError: for an argument without annotation, or of a type that no space file writes.
    """
    if dataclasses.is_dataclass(make) and isinstance(make, type):
        hints = _hints(make, what)
        own = {f.name: (hints[f.name], _default(f)) for f in dataclasses.fields(make) if f.init}
    else:
        hints = _hints(vars(make).get("__init__", make) if isinstance(make, type) else make, what)
        own = {
            name: (hints.get(name), parameter.default)
            for name, parameter in _parameters(make, what).items()
        }
    return {
        name: _argument(name, hint, default, what)
        for name, (hint, default) in own.items()
        if name not in given
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _parameters(make: Callable[..., Any], what: str) -> Mapping[str, inspect.Parameter]:
    parameters = inspect.signature(make).parameters
    for name, parameter in parameters.items():
        if parameter.kind in _REFUSED:
            stars = _REFUSED[parameter.kind]
            raise PluginError(
                f"{what}: argument {stars}{name} cannot be set from a space file; register a "
                "function that takes named arguments and returns the object"
            )
    return parameters


def _hints(make: Any, what: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(make, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise PluginError(f"{what}: an annotation cannot be read: {error}") from None


def _argument(name: str, hint: Any, default: Any, what: str) -> Argument:
    if hint is None:
        raise PluginError(
            f"{what}: argument {name} has no annotation; expected {_SUPPORTED}; annotate it, or "
            "register a function that leaves it out"
        )
    kept, as_list = _supported(hint), _is_list(hint)
    if kept is None:
        shown = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise PluginError(
            f"{what}: argument {name} is of type {shown}; expected {_SUPPORTED}; register a "
            "function that leaves it out"
        )
    if default in (inspect.Parameter.empty, dataclasses.MISSING):
        return Argument(hint=kept, default=dataclasses.MISSING, as_list=as_list)
    if default is None:
        kept = kept | None  # `width: int = None` means so
    return Argument(hint=kept, default=frozen(plain(default)), as_list=as_list)


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _is_list(hint: Any) -> bool:
    return any(
        typing.get_origin(option) is list
        for option in (_bare(hint), *typing.get_args(_bare(hint)))
    )


def _supported(hint: Any) -> Any:
    """Return a type as a spec holds it, its lists made tuples; None if it cannot be searched."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _LEAVES.values() or hint is type(None):
        return hint
    reader = _SUPPORTED_BY.get(origin)
    return reader(arguments) if reader is not None and arguments else None


def _supported_annotated(arguments: tuple[Any, ...]) -> Any:
    inner = _supported(arguments[0])
    limits = tuple(item for item in arguments[1:] if isinstance(item, (Limit, Length)))
    return _subscripted(Annotated, (inner, *limits)) if inner is not None and limits else inner


def _supported_literal(arguments: tuple[Any, ...]) -> Any:
    plain_values = all(isinstance(value, (str, int, float)) for value in arguments)
    return _subscripted(Literal, arguments) if plain_values else None


def _supported_union(arguments: tuple[Any, ...]) -> Any:
    options = tuple(_supported(option) for option in arguments)
    return None if None in options else _subscripted(typing.Union, options)


def _supported_list(arguments: tuple[Any, ...]) -> Any:
    item = _supported(arguments[0])
    return None if item is None else _subscripted(tuple, (item, ...))


def _supported_tuple(arguments: tuple[Any, ...]) -> Any:
    if arguments[-1] is Ellipsis:
        return _supported_list(arguments)
    items = tuple(_supported(item) for item in arguments)
    return None if None in items else _subscripted(tuple, items)


def _subscripted(generic: Any, arguments: tuple[Any, ...]) -> Any:
    """Return `generic[arguments]`, which type checkers do not read where it is computed."""
    return generic[arguments]


_SUPPORTED_BY: dict[Any, Callable[[tuple[Any, ...]], Any]] = {
    Annotated: _supported_annotated,
    Literal: _supported_literal,
    typing.Union: _supported_union,
    types.UnionType: _supported_union,
    list: _supported_list,
    collections.abc.Sequence: _supported_list,
    tuple: _supported_tuple,
}


def to_json(hint: Any) -> Any:
    """Return plain data from which `from_json` rebuilds a supported type, limits included."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        limits = [
            {type(item).__name__: {k: v for k, v in plain(item).items() if v is not None}}
            for item in arguments[1:]
        ]
        return {"annotated": [to_json(arguments[0]), *limits]}
    if origin is Literal:
        return {"literal": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"union": [to_json(option) for option in arguments]}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"list": to_json(arguments[0])}
    if origin is tuple:
        return {"tuple": [to_json(item) for item in arguments]}
    return "none" if hint is type(None) else hint.__name__


def from_json(tree: Any) -> Any:
    """Return the type that `to_json` wrote; ValueError for anything else."""
    if tree == "none":
        return type(None)
    if isinstance(tree, str) and tree in _LEAVES:
        return _LEAVES[tree]
    if isinstance(tree, dict) and len(tree) == 1:
        ((key, value),) = tree.items()
        if key in _READERS:
            return _READERS[key](value)
    raise ValueError(f"{tree!r} is not a type")


def _annotated(value: Any) -> Any:
    limits = [
        {"Limit": Limit, "Length": Length}[name](**numbers)
        for item in value[1:]
        for name, numbers in item.items()
    ]
    return _subscripted(Annotated, (from_json(value[0]), *limits))


_READERS: dict[str, Callable[[Any], Any]] = {
    "annotated": _annotated,
    "literal": lambda values: _subscripted(Literal, tuple(values)),
    "union": lambda values: _subscripted(typing.Union, tuple(map(from_json, values))),
    "list": lambda item: _subscripted(tuple, (from_json(item), ...)),
    "tuple": lambda items: _subscripted(tuple, tuple(map(from_json, items))),
}
