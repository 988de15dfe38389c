"""The keys and values that a dataclass allows in a space file, read from its annotations."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic

from gmsearch.experiment import RECIPES, Recipe
from gmsearch.limits import OneOf
from gmsearch.limits.hints import Admits, admits, expected
from gmsearch.networks import FAMILIES, PRESETS, Candidate, preset_family
from gmsearch.plain import frozen, plain
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import closest, shown

ROWS = ("preset", "recipe")
"""Keys that name a row of values, which the file overrides."""

LeafType = Any
"""A type hint with its limits for a value; a dataclass, or `Candidate`, for a subtree."""

_UNIONS = (typing.Union, types.UnionType)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One key of a subtree or section."""

    type: LeafType
    required: bool = False
    default: Any = None
    """Plain data with tuples; meaningless where a value is required."""


def fields_of(cls: Any) -> dict[str, Field]:
    """Return the keys of a dataclass, and `preset` or `recipe` where it has named rows."""
    fields = dict(_own_fields(cls))
    if presets := tuple(name for name in PRESETS if FAMILIES[preset_family(name)].spec is cls):
        fields["preset"] = Field(type=Literal[presets])
    if cls is Recipe:
        fields["recipe"] = Field(type=Literal[tuple(RECIPES)])
    return fields


@functools.cache
def _own_fields(cls: type[Any]) -> Mapping[str, Field]:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {}
    for field in dataclasses.fields(cls):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        required = default is dataclasses.MISSING
        fields[field.name] = Field(
            type=hints[field.name],
            required=required,
            default=None if required else frozen(plain(default)),
        )
    return fields


def specs() -> tuple[type[Any], ...]:
    """Return the dataclasses of the families."""
    return tuple(row.spec for row in FAMILIES.values())


def is_subtree(leaf: LeafType) -> bool:
    """Return whether the file has a mapping of fields here, rather than a value."""
    return leaf == Candidate or dataclasses.is_dataclass(leaf)


def _origin(leaf: LeafType) -> Any:
    return typing.get_origin(leaf)


def _bare(leaf: LeafType) -> LeafType:
    """Return a type hint without its limits."""
    return typing.get_args(leaf)[0] if _origin(leaf) is Annotated else leaf


def alternatives(leaf: LeafType) -> tuple[LeafType, ...]:
    """Return the members of a union, or the type itself, without their limits."""
    bare = _bare(leaf)
    options = typing.get_args(bare) if _origin(bare) in _UNIONS else (bare,)
    return tuple(map(_bare, options))


def element(leaf: LeafType) -> LeafType | None:
    """Return the type of the items of a list; None where no list of any length is allowed."""
    return next((typing.get_args(o)[0] for o in alternatives(leaf) if _is_list(o)), None)


def _is_list(leaf: LeafType) -> bool:
    bare = _bare(leaf)
    return _origin(bare) is tuple and typing.get_args(bare)[-1] is Ellipsis


def is_optional(leaf: LeafType) -> bool:
    """Return whether the word `none` may be given for no value."""
    return type(None) in alternatives(leaf)


def takes(leaf: LeafType, number: type[int | float]) -> bool:
    """Return whether numbers of a type are allowed, alone or as the items of a list."""
    item = element(leaf)
    wanted = {float} if number is float else {int, float}
    return bool(wanted & set(alternatives(leaf))) or (item is not None and takes(item, number))


def number_in(leaf: LeafType) -> LeafType | None:
    """Return the type of the number that a value may be, with its limits; None for others."""
    options = typing.get_args(leaf) if _origin(leaf) in _UNIONS else (leaf,)
    return next((option for option in options if _bare(option) in (int, float)), None)


def accepted_type(leaf: LeafType, value: object) -> LeafType:
    """Return the type that a value is checked against; one item may be given for a list."""
    return element(leaf) if _is_list(leaf) and not isinstance(value, tuple) else leaf


@functools.cache
def _test(leaf: LeafType) -> Admits:
    return admits(leaf) or (lambda _value: True)


def find_type_errors(leaf: LeafType, value: Any) -> list[tuple[int, ...]]:
    """Return where a value breaks its type or limits, as indices into it; empty if nowhere.

    The items of a list are returned where the value is a list as it should be, else `()`.
    """
    return [] if _test(leaf)(value) else list(_wrong_items(leaf, value))


def _wrong_items(leaf: LeafType, value: Any) -> Iterator[tuple[int, ...]]:
    for option in alternatives(leaf) if isinstance(value, tuple) else ():
        items = typing.get_args(option) if _origin(option) is tuple else ()
        if items and items[-1] is Ellipsis:
            items = (items[0],) * len(value)
        wrong = [i for i, item in enumerate(items) if i < len(value) and not _test(item)(value[i])]
        if len(items) == len(value) and wrong:
            for index in wrong:
                for inner in _wrong_items(items[index], value[index]):
                    yield (index, *inner)
            return
    yield ()


def converted(leaf: LeafType, value: Any) -> Any:
    """Return a valid value with its integers as floats where the type asks for floats."""
    options = alternatives(leaf)
    if isinstance(value, tuple):
        items = next(typing.get_args(o) for o in options if _origin(o) is tuple)
        items = (items[0],) * len(value) if items and items[-1] is Ellipsis else items
        return tuple(converted(*pair) for pair in zip(items, value, strict=True))
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_int and float in options and int not in options else value


def _type_at(leaf: LeafType, indices: tuple[int, ...]) -> LeafType:
    """Return the type of an item of a list, or of an item of such an item."""
    for index in indices:
        lists = (o for o in alternatives(leaf) if _origin(o) is tuple)
        items = typing.get_args(next(lists))
        leaf = items[0] if items[-1] is Ellipsis else items[index]
    return leaf


def expected_type(leaf: LeafType) -> str:
    """Return what a type requires, in words that complete `expected`."""
    return f"{expected(element(leaf))} or a list of such" if _is_list(leaf) else expected(leaf)


def report_type_errors(node: Node, leaf: LeafType, words: str | None = None) -> bool:
    """Report the places where a value breaks its type or limits; return whether there are any.

    Args:
        node: The value.
        leaf: Its type.
        words: What is expected, where the type says it less well.
    """
    errors = find_type_errors(leaf, node.plain())
    for indices in errors:
        item = node
        for index in indices:
            item = item.items[index]
        asked = _type_at(leaf, indices)
        wanted = words if words and not indices else expected(asked)
        if item.value is None:
            item.wrong(f"expected {wanted}, got nothing", item.key)
        else:
            item.wrong(f"expected {wanted}, got {shown(item.plain())}{_suggestion(item, asked)}")
    return bool(errors)


def _suggestion(node: Node, leaf: LeafType) -> str:
    """Return the remedy for a value that is nearly correct, else an empty text."""
    value, names = node.value, list(_names(leaf))
    if close := closest(value, names):
        return f"; did you mean {close!r}?"
    if isinstance(value, str) and (takes(leaf, int) or takes(leaf, float)):
        try:
            float(value)
        except ValueError:
            return ""
        return "; remove the quotes"
    words = {option for option in alternatives(leaf) if option is not type(None)} <= {str}
    unquoted = isinstance(value, (int, float)) and words and not names
    return "; put it in quotes" if unquoted else ""


def _names(leaf: LeafType) -> Iterator[str]:
    """Yield the words that a type lists."""
    for table in _tables(leaf):
        yield from table
    for part in _hint_parts(leaf):
        if _origin(_bare(part)) is Literal:
            yield from map(str, typing.get_args(_bare(part)))


def _tables(leaf: LeafType) -> Iterator[Mapping[str, Any]]:
    """Yield the tables whose rows a type names."""
    for part in _hint_parts(leaf):
        if _origin(part) is Annotated:
            yield from (item.table for item in part.__metadata__ if isinstance(item, OneOf))


def _hint_parts(leaf: LeafType) -> Iterator[LeafType]:
    """Yield a type and all that it is made of: members of unions, items of lists."""
    yield leaf
    bare = _bare(leaf)
    if _origin(bare) in _UNIONS or _origin(bare) is tuple:
        for part in typing.get_args(bare):
            yield from _hint_parts(part)


def leaf_schema(leaf: LeafType) -> dict[str, Any]:
    """Return the JSON Schema of a value; `none` is the file's word for null."""
    schema = dict(pydantic.TypeAdapter(leaf, config=_STRICT).json_schema())
    if is_optional(leaf):
        schema["anyOf"] = [*schema["anyOf"], {"const": "none"}]
    if _is_list(leaf):
        schema = {"anyOf": [schema["items"], schema]}
    return schema


_STRICT = pydantic.ConfigDict(strict=True, allow_inf_nan=False)


def descriptions(cls: type[Any]) -> dict[str, str]:
    """Return what a dataclass's fields mean, by field.

    These are the docstrings below them, inherited ones included; where a field names a row of a
    table, the meaning of every row follows.
    """
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    texts = {name: text for base in bases for name, text in _own_descriptions(base).items()}
    types_ = {name: field.type for name, field in fields_of(cls).items()}
    return {
        name: " ".join((text, *map(_meanings, _tables(types_[name]) if name in types_ else ())))
        for name, text in texts.items()
    }


def _meanings(table: Mapping[str, Any]) -> str:
    """Return the names of a table with the texts of their rows, as a sentence."""
    rows = ((name, row if isinstance(row, str) else row.text) for name, row in table.items())
    return "; ".join(f"{name}: {text}" for name, text in rows) + "."


@functools.cache
def _own_descriptions(cls: type[Any]) -> dict[str, str]:
    try:
        (body,) = ast.parse(inspect.getsource(cls)).body
    except (OSError, TypeError):  # a class of a plugin whose source cannot be read
        return {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(statements)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
