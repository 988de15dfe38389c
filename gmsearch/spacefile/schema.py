"""The JSON Schema of a space file, from the types it is read by, for editors to complete.

It describes the shape of a file; whether values fit each other is known only by loading it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gmsearch.experiment import Bands, Recipe
from gmsearch.networks import FAMILIES, Candidate
from gmsearch.plain import plain
from gmsearch.space.domains import MAX_STEPS
from gmsearch.space.settings import Resources
from gmsearch.spacefile.fields import (
    ROWS,
    LeafType,
    descriptions,
    element,
    expected_type,
    fields_of,
    is_subtree,
    leaf_schema,
    specs,
    takes,
)
from gmsearch.spacefile.sections.data import data_schema
from gmsearch.spacefile.sections.match import match_schema
from gmsearch.spacefile.sections.metrics import (
    bounds_schema,
    constraints_schema,
    objectives_schema,
)
from gmsearch.spacefile.sections.plugins import plugins_schema
from gmsearch.spacefile.sections.search import search_schema
from gmsearch.spacefile.sections.study import Name
from gmsearch.spacefile.sections.tune import tune_schema
from gmsearch.spacefile.tree import DOMAIN_KEYS, LABEL
from gmsearch.spacefile.values import section_schema

Schema = dict[str, Any]

KEY_TEXTS = {
    "study": "Name of the study, and of its folder.",
    "about": "The question that the study answers; shown in reports, otherwise unused.",
    "plugins": "Your own parts: Python files relative to the space file, or installed packages.",
    "model": "The network: a tree whose leaves are values or domains.",
    "train": "The recipe: training hyper-parameters, values or domains.",
    "baseline": "The arm that the others are compared with: a value for every parameter.",
    "forbid": "Partial assignments that are excluded.",
    "data": "The images.",
    "bands": "The spatial frequencies that accuracy is measured on.",
    "objectives": "Metrics, each with the direction in which it is better.",
    "constraints": "Bounds of metrics, both ends included.",
    "search": "Which candidates are trained, and how often each.",
    "tune": "Training parameters chosen on the holdout: lists of the values to try.",
    "match": "A cost that every candidate shares with the baseline, and the field scaled for it.",
    "resources": "Resources of one trial while it runs.",
}
"""The keys of a space file, each with its description."""
REQUIRED = ("study", "model", "data", "objectives", "search")

_NAMED = {
    "family": "Family of networks; each has fields of its own.",
    "preset": "Published network whose values are the defaults of the other keys.",
    "recipe": "Published recipe whose values are the defaults of the other keys.",
}
"""Keys that no field stands for, each with its description."""
_TITLES = {
    "choice": "choice of values",
    "int": "range of integers",
    "float": "range of numbers",
}
"""What an editor calls each kind of domain."""

_VALUE: Schema = {
    "type": ["string", "number", "boolean", "null", "array"],
    "items": {"type": ["string", "number", "boolean", "null"]},
}
_ASSIGNMENT: Schema = {"type": "object", "additionalProperties": _VALUE}
_DEFINITIONS: dict[str, Schema] = {
    "when": {
        "description": "The domain applies where each parameter has the value, or one of several, "
        "given here.",
        "minProperties": 1,
        **_ASSIGNMENT,
    },
    "label": {"pattern": f"^{LABEL}$"},
    "int": {
        "type": "array",
        "description": "Smallest and largest integer.",
        "items": {"type": "integer"},
        "minItems": 2,
        "maxItems": 2,
        "examples": [[1, 4]],
    },
    "float": {
        "type": "array",
        "description": "Smallest and largest number.",
        "items": {"type": "number"},
        "minItems": 2,
        "maxItems": 2,
        "examples": [[1e-4, 1e-2]],
    },
    "step": {"type": "integer", "minimum": 1, "description": "Distance of two integers."},
    "log": {"type": "boolean", "description": "Uniform in the logarithm."},
    "steps": {
        "type": "integer",
        "minimum": 2,
        "maximum": MAX_STEPS,
        "description": "Number of values, both ends included; without it every number is one.",
    },
}
"""What is the same for every type: the parts of domains."""


def json_schema() -> Schema:
    """Return the schema (draft 2020-12) of the whole file, domains at the leaves included."""
    sites = _Sites()
    name = section_schema(Name)["properties"]
    parts: dict[str, Schema] = {
        "study": name["study"],
        "about": name["about"],
        "plugins": plugins_schema(),
        "model": sites.site(Candidate),
        "train": sites.site(Recipe),
        "baseline": _ASSIGNMENT,
        "forbid": {"type": "array", "items": {**_ASSIGNMENT, "minProperties": 1}},
        "data": data_schema(),
        "bands": section_schema(Bands),
        "objectives": objectives_schema(),
        "constraints": constraints_schema(),
        "search": search_schema(),
        "tune": tune_schema(),
        "match": match_schema(),
        "resources": section_schema(Resources),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gmsearch space",
        "type": "object",
        "properties": {
            key: {**parts[key], "description": text} for key, text in KEY_TEXTS.items()
        },
        "required": list(REQUIRED),
        "additionalProperties": False,
        "$defs": sites.definitions,
    }


class _Sites:
    """Definitions of what may be given in model and train: a value, or a domain of such values.

    A type has two: `NAME`, a value or a domain, and `NAME.value`, a value alone. Labels of a
    choice hold the former again.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {**_DEFINITIONS, "bounds": bounds_schema()}
        self._names: dict[Any, str] = {}

    def site(self, leaf: LeafType) -> Schema:
        """Return a reference to the definition of a value or domain of a type."""
        if leaf not in self._names:
            name = self._names[leaf] = self._new_name(leaf)
            self.definitions[name] = {}
            self.definitions[f"{name}.value"] = (
                self._subtree(leaf) if is_subtree(leaf) else leaf_schema(leaf)
            )
            value = _reference(f"{name}.value")
            domains = _domains(leaf, value, _reference(name))
            values = self._with_elements(leaf, value)
            self.definitions[name] = _chosen(domains, values, tree=is_subtree(leaf))
        return _reference(self._names[leaf])

    def _new_name(self, leaf: LeafType) -> str:
        """Return a name such as `Gate` or `an-integer-from-1`, numbered where it is taken."""
        words = "Model" if leaf == Candidate else getattr(leaf, "__name__", "")
        if not is_subtree(leaf):
            words = re.sub(r"[^a-z0-9.]+", "-", expected_type(leaf).lower())[:40].strip("-")
        taken = self.definitions.keys()
        names = (words if n == 1 else f"{words}-{n}" for n in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _with_elements(self, leaf: LeafType, value: Schema) -> Schema:
        """Allow domains for the items of a list as well."""
        part = None if is_subtree(leaf) else element(leaf)
        if part is None:
            return value
        return {"anyOf": [value, {"type": "array", "items": self.site(part)}]}

    def _subtree(self, leaf: LeafType) -> Schema:
        if leaf != Candidate:
            return self._object(leaf)
        ours = FAMILIES["gmnet"].spec
        schema = self._object(ours)  # a tree without family and preset is a GmNet
        for cls in specs():
            if cls is not ours:
                schema = {"if": _is_of(cls), "then": self._object(cls), "else": schema}
        return schema

    def _object(self, cls: type[Any]) -> Schema:
        texts, fields = descriptions(cls), fields_of(cls)
        properties: dict[str, Schema] = {}
        for key, field in fields.items():
            family = key == "family"  # the only leaf that takes no domain
            place = leaf_schema(field.type) if family else self.site(field.type)
            default = {} if field.required or key in ROWS else {"default": plain(field.default)}
            text = texts.get(key, _NAMED.get(key))
            about = {"description": text} if text is not None else {}
            properties[key] = {**place, **about, **default}
        required = [key for key, field in fields.items() if field.required]
        if cls in specs() and cls is not FAMILIES["gmnet"].spec:
            required = ["family", *required]
        named = fields.get("family")
        whole: Schema = {
            "type": "object",
            "title": f"{named.default} network" if named else cls.__name__.lower(),
            "properties": properties,
            "additionalProperties": False,
        }
        if "preset" in properties:
            return {**whole, "anyOf": [{"required": required}, {"required": ["preset"]}]}
        return {**whole, "required": required}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _is_of(cls: type[Any]) -> Schema:
    """Return the schema of what names a family, or a preset of it."""
    named = [
        {"properties": {key: leaf_schema(fields_of(cls)[key].type)}, "required": [key]}
        for key in ("family", "preset")
        if key in fields_of(cls)
    ]
    return {"type": "object", "anyOf": named}


def _chosen(domains: Mapping[str, Schema], values: Schema, *, tree: bool) -> Schema:
    """Return a value or one of some domains, told apart by key: an error is that of one of them.

    Args:
        domains: each by the key that it has; any other object is a choice, unless values are
            objects too.
        values: what is no domain.
        tree: whether values are objects.
    """
    schema = values
    if not tree:
        schema = {"if": {"type": "object"}, "then": domains["choice"], "else": values}
    for key, domain in domains.items():
        if tree or key != "choice":
            schema = {
                "if": {"type": "object", "required": [key]},
                "then": domain,
                "else": schema,
            }
    return schema


def _domains(leaf: LeafType, value: Schema, site: Schema) -> dict[str, Schema]:
    """Return the domains that a type allows, by the key that each has."""
    labelled = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _reference("label"),
        "additionalProperties": site,
    }
    options: list[Schema] = [labelled]
    other = "The value where `when` does not hold."
    condition = {"when": _reference("when"), "else": {**value, "description": other}}
    if not is_subtree(leaf):
        options.insert(0, {"type": "array", "minItems": 1, "items": value})
    choice = {"anyOf": options, "description": "Values, or labelled options."}
    domains = {"choice": _domain("choice", {"choice": choice, **condition})}
    for kind, number in (("int", int), ("float", float)):
        if not is_subtree(leaf) and takes(leaf, number):
            parts = {key: _reference(key) for key in (kind, *DOMAIN_KEYS[kind])}
            domains[kind] = _domain(kind, {**parts, **condition})
    return domains


def _domain(kind: str, properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "title": _TITLES[kind],
        "properties": dict(properties),
        "required": [kind],
        "dependentRequired": {"when": ["else"], "else": ["when"]},
        "additionalProperties": False,
    }
