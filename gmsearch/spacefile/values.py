"""The values of a section without domains: read, checked, and as JSON Schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.plain import plain
from gmsearch.spacefile.fields import (
    LeafType,
    converted,
    descriptions,
    expected_type,
    fields_of,
    is_optional,
    leaf_schema,
    report_type_errors,
)
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import closest, near, shown

Spellings = Mapping[str, tuple[LeafType, "str | None"]]
"""Type and description of the fields that a file spells otherwise than data."""


@dataclasses.dataclass(kw_only=True, slots=True)
class SectionValues:
    """The values that a section gives for the fields of a dataclass."""

    given: dict[str, Any]
    """Valid values by field."""
    wrong: set[str]
    """Fields that are missing or invalid, and reported."""


def read_values(
    node: Node, cls: type[Any], spellings: Spellings | None = None
) -> SectionValues | None:
    """Return the values of a section, after every mistake in them is reported.

    Args:
        node: The section.
        cls: The dataclass whose fields are its keys.
        spellings: Type and description of the values that the file spells otherwise than data.

    Returns:
        None where the section is not a mapping.
    """
    if not isinstance(node.value, Mapping):
        node.wrong(f"expected a mapping of `key: value`, got {shown(node.plain())}")
        return None
    fields, values = fields_of(cls), SectionValues(given={}, wrong=set())
    types_ = {name: (field.type, None) for name, field in fields.items()} | dict(spellings or {})
    for key, child in node.mapping.items():
        if key not in fields:
            node.wrong(f"unknown key {key!r}; {near(key, fields)}", node.keys[key])
            values.wrong.add(closest(key, fields) or key)
            continue
        leaf, words = types_[key]
        if child.value == "none" and is_optional(leaf):
            values.given[key] = None
        elif report_type_errors(child, leaf, words):
            values.wrong.add(key)
        else:
            values.given[key] = converted(leaf, child.plain())
    for key, field in fields.items():
        needed = field.required and not is_optional(types_[key][0])
        if needed and key not in {*values.given, *values.wrong}:
            node.wrong(f"{key} is missing; add `{key}: …`, {expected_type(field.type)}", node.key)
            values.wrong.add(key)
    return values


def build_from(node: Node, cls: type[Any], values: SectionValues) -> Any:
    """Return an instance of a dataclass; None where a value is wrong, which is then reported.

    With a default in place of an invalid value, the rules across the other fields are checked.
    """
    required = {name for name, field in fields_of(cls).items() if field.required}
    if required & values.wrong:
        return None
    try:
        instance = cls(**values.given)
    except FieldError as error:
        for one in error.errors:
            name = one.path.split(".")[0]
            if name not in values.wrong and (name or not values.wrong):
                node.report(one)
        return None
    return None if values.wrong else instance


def read_section(node: Node, cls: type[Any]) -> Any:
    """Return the instance of a dataclass that a section describes; None where it is wrong."""
    values = read_values(node, cls)
    return None if values is None else build_from(node, cls, values)


def section_schema(cls: type[Any], spellings: Spellings | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a section without domains, its keys described."""
    texts, properties, required = descriptions(cls), {}, []
    types_ = {name: (f.type, None) for name, f in fields_of(cls).items()} | dict(spellings or {})
    for key, field in fields_of(cls).items():
        part = leaf_schema(types_[key][0])
        about = {"description": texts[key]} if key in texts else {}
        default = {} if field.required else {"default": plain(field.default)}
        properties[key] = {**part, **about, **default}
        if field.required and not is_optional(types_[key][0]):
            required.append(key)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
