"""What may stand where in a space file, read off the dataclasses: types, defaults, words."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import operator
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from gmsearch.experiment import RECIPES, Recipe
from gmsearch.limits import OneOf
from gmsearch.networks import FAMILIES, PRESETS, Candidate, preset_family
from gmsearch.plain import frozen, plain
from gmsearch.spacefile.mistakes import Mistakes, below, near_miss, words
from gmsearch.spacefile.nodes import Node
from gmsearch.wording import shown

STRICT = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
"""No value is bent into another type: `"8"` is a word, not 8."""

ROWS = ("preset", "recipe")
"""The keys that name a row of values, which stand where the file gives none."""

Form = Any
"""A dataclass for a subtree, `Candidate` for the model, a type hint for a leaf."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One key of a subtree."""

    form: Form
    required: bool = False
    default: Any = None
    """As plain data with tuples; meaningless where a value is required."""


def fields_of(cls: type[Any]) -> Mapping[str, Field]:
    """Return the keys of a dataclass's subtree; `preset` or `recipe` where rows have names."""
    hints = {
        name: _type_of(hint)
        for name, hint in typing.get_type_hints(cls, include_extras=True).items()
    }
    fields = {}
    for field in dataclasses.fields(cls):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        required = default is dataclasses.MISSING
        fields[field.name] = Field(
            form=hints[field.name],
            required=required,
            default=None if required else frozen(plain(default)),
        )
    if presets := tuple(name for name in PRESETS if FAMILIES[preset_family(name)].spec is cls):
        fields["preset"] = Field(form=Literal[presets])
    if cls is Recipe:
        fields["recipe"] = Field(form=Literal[tuple(RECIPES)])
    return fields


def _type_of(hint: Any) -> Any:
    """Return a type hint without the limits of its values, names from a table kept.

    Values are checked against their limits where they are known together, in `fit`.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner, *metadata = arguments
        tables = [item for item in metadata if isinstance(item, OneOf)]
        return Annotated[inner, tables[0]] if tables else _type_of(inner)
    if origin is tuple:
        items = tuple(a if a is Ellipsis else _type_of(a) for a in arguments)
        return tuple.__class_getitem__(items)
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_type_of, arguments))
    return hint


def specs() -> tuple[type[Any], ...]:
    """Return the dataclasses of the families."""
    return tuple(row.spec for row in FAMILIES.values())


def is_subtree(form: Form) -> bool:
    """Return whether a mapping of fields stands at `form`, not a value."""
    return form == Candidate or dataclasses.is_dataclass(form)


def element(form: Form) -> Form | None:
    """Return what an element of a list at `form` is; None where no list can stand."""
    for option in (form, *typing.get_args(form)):
        if _is_list(option):
            return typing.get_args(option)[0]
    return None


@functools.cache
def _adapter(form: Form) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(form, config=STRICT)


def accepted(form: Form, value: object) -> Any:
    """Return the type that `value` is checked against at a leaf.

    One value may stand for a list of it, as in the dataclasses: `mlp_ratio: 4`.
    """
    return element(form) if _is_list(form) and not isinstance(value, tuple) else form


def _is_list(form: Form) -> bool:
    origin: Any = typing.get_origin(form)
    return origin is tuple and typing.get_args(form)[-1] is Ellipsis


def misfit(form: Form, value: object) -> tuple[int, ...] | None:
    """Return where `value` is not what the leaf takes, as indices into it; None if it fits."""
    try:
        _adapter(accepted(form, value)).validate_python(value)
    except pydantic.ValidationError as error:
        found = [e["loc"] for e in error.errors(include_url=False, include_input=False)]
        # A union names its branches in between; the branch that came furthest is meant.
        indices = [tuple(part for part in loc if isinstance(part, int)) for loc in found]
        return max(indices, key=len)
    return None


def takes_none(form: Form) -> bool:
    """Return whether the word `none` stands for no value at this leaf."""
    origin: Any = typing.get_origin(form)
    return type(None) in typing.get_args(typing.get_args(form)[0] if origin is Annotated else form)


def leaf_schema(form: Form) -> dict[str, Any]:
    """Return the JSON Schema of a leaf, without domains; `none` is the file's word for null."""
    schema = _adapter(form).json_schema()
    if takes_none(form):
        schema["anyOf"] = [*schema["anyOf"], {"const": "none"}]
    if _is_list(form):
        schema = {"anyOf": [schema["items"], schema]}
    return schema


def refuse(
    node: Node, indices: tuple[int, ...], schema: dict[str, Any], path: str, mistakes: Mistakes
) -> None:
    """Tell that a value, or the part of it at `indices`, is not what the schema asks for."""
    for index in indices:
        if isinstance(node.value, tuple):
            node = node.value[index]
    wanted = below(schema, indices)
    if node.value is None:
        mistakes.add(node.key, f"{path}: is empty, must be {words(wanted)}")
        return
    guess = near_miss(node.value, wanted)
    mistakes.add(node.place, f"{path}: {shown(node.plain())} is not {words(wanted)}{guess}")


def descriptions(cls: type[Any]) -> dict[str, str]:
    """Return the docstrings below a dataclass's fields, by field, inherited ones included."""
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    return {name: text for base in bases for name, text in _own_descriptions(base).items()}


def _own_descriptions(cls: type[Any]) -> dict[str, str]:
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        return {}  # made from a plugin's arguments, which have no descriptions
    (body,) = ast.parse(source).body
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
