"""The section `tune`: training parameters chosen on the holdout."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.experiment import Recipe
from gmsearch.space.settings import Tune, TuneOptions
from gmsearch.space.space import Space
from gmsearch.spacefile.fields import (
    LeafType,
    descriptions,
    fields_of,
    leaf_schema,
    number_in,
    report_type_errors,
)
from gmsearch.spacefile.probes import recipes
from gmsearch.spacefile.values import read_values, section_schema
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import near, shown

MAX_VALUES = 64
"""Largest number of combinations of values; each is a training run of every arm."""
_EXAMPLE = "{lr: [1e-3, 3e-3, 1e-2]}"


def tunable() -> dict[str, LeafType]:
    """Return the types of the fields of a recipe that are numbers."""
    numbers = {name: number_in(field.type) for name, field in fields_of(Recipe).items()}
    del numbers["checkpoint_every"]  # the one that changes no weights
    return {name: number for name, number in numbers.items() if number is not None}


def read_tune(node: Node, domains: Mapping[str, Node]) -> Tune | None:
    """Return what is tuned, and how it is chosen; None where a value is wrong.

    Args:
        node: The section.
        domains: Nodes of the parameters of the space, by path.
    """
    if not isinstance(node.value, Mapping):
        node.wrong(f"expected a mapping, got {shown(node.plain())}; write {_EXAMPLE}")
        return None
    before, leaves = len(node.mistakes), tunable()
    options = [key for key in node.mapping if key in fields_of(TuneOptions)]
    tuned = node.without(*options).mapping
    values = read_values(node.without(*tuned), TuneOptions)
    if not tuned:
        node.wrong(f"expected at least one parameter; write {_EXAMPLE}", node.key)
    for key, child in tuned.items():
        if key not in leaves:
            numeric = ", ".join(leaves) if key in fields_of(Recipe) else None
            remedy = f"only numbers can be: {numeric}" if numeric else near(key, leaves)
            node.wrong(f"{key!r} cannot be tuned; {remedy}", node.keys[key])
            continue
        _check_values(child, leaves[key])
        for path, domain in domains.items():
            if path == f"train.{key}" or (path.startswith("train.") and path.endswith(f".{key}")):
                domain.wrong(
                    f"has a domain and is tuned as well; give one value here, or remove `{key}` "
                    "from `tune`",
                    domain.key,
                )
    count = math.prod(len(child.items) for child in tuned.values() if child.items)
    if count > MAX_VALUES:
        node.wrong(f"{count} combinations per arm; give at most {MAX_VALUES}", node.key)
    if values is None or len(node.mistakes) > before:
        return None
    return Tune(values={key: child.plain() for key, child in tuned.items()}, **values.given)


def _check_values(node: Node, number: LeafType) -> None:
    """Report what is not a list of two or more different numbers."""
    if not isinstance(node.value, tuple):
        node.wrong(f"expected a list of numbers, got {shown(node.plain())}")
        return
    if len(node.items) < 2:
        node.wrong(f"expected at least two values, got {shown(node.plain())}")
    seen: list[Any] = []
    for item in node.items:
        value = item.plain()
        if not report_type_errors(item, number) and value in seen:
            item.wrong(f"{shown(value)} is listed twice; remove one")
        seen.append(value)


def check_tune(space: Space, root: Node) -> None:
    """Report values that some recipe of the space cannot have, and values without effect."""
    assert space.tune is not None, "a space that tunes"
    node, known = root.mapping["tune"], list(recipes(space))
    for name, values in space.tune.values.items():
        before = len(node.mistakes)
        for value, item in zip(values, node.mapping[name].items, strict=True):
            try:
                for recipe in known:
                    _with(recipe, name, value)
            except FieldError as error:
                item.named(f"tune.{name}").wrong(error.message)
        if known and len(node.mistakes) == before and not _matters(known, name, values):
            node.mapping[name].wrong(
                "has no effect on the recipe in `train`; remove it", node.keys[name]
            )


def _matters(known: list[Recipe], name: str, values: tuple[int | float, ...]) -> bool:
    """Return whether the values make different recipes of any recipe."""
    return any(len({_with(recipe, name, value) for value in values}) > 1 for recipe in known)


def _with(recipe: Recipe, name: str, value: float) -> Recipe:
    change: dict[str, Any] = {name: value}
    return dataclasses.replace(recipe, **change)


def tune_schema() -> dict[str, Any]:
    """Return the JSON Schema of the section."""
    section, texts = section_schema(TuneOptions), descriptions(Recipe)
    leaves = {
        name: {
            "type": "array",
            "minItems": 2,
            "items": leaf_schema(number),
            **({"description": texts[name]} if name in texts else {}),
        }
        for name, number in tunable().items()
    }
    named = [{"required": [name]} for name in leaves]
    return {**section, "properties": {**leaves, **section["properties"]}, "anyOf": named}
