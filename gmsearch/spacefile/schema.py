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
    "int": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    "float": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    "step": {"type": "integer", "minimum": 1},
    "log": {"type": "boolean", "description": "Uniform in the logarithm."},
    "steps": {"type": "integer", "minimum": 2, "maximum": MAX_STEPS},
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
            self.definitions[name] = {"anyOf": [self._with_elements(leaf, value), *domains]}
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
        classes = specs() if leaf == Candidate else (leaf,)
        options = [self._object(cls) for cls in classes]
        return options[0] if len(options) == 1 else {"anyOf": options}

    def _object(self, cls: type[Any]) -> Schema:
        texts, fields = descriptions(cls), fields_of(cls)
        properties: dict[str, Schema] = {}
        for key, field in fields.items():
            family = key == "family"  # the only leaf that takes no domain
            place = leaf_schema(field.type) if family else self.site(field.type)
            default = {} if field.required or key in ROWS else {"default": plain(field.default)}
            about = {"description": texts[key]} if key in texts else {}
            properties[key] = {**place, **about, **default}
        required = [key for key, field in fields.items() if field.required]
        if cls in specs() and cls is not FAMILIES["gmnet"].spec:
            required = ["family", *required]  # a tree without family and preset is a GmNet
        whole: Schema = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        if "preset" in properties:
            return {**whole, "anyOf": [{"required": required}, {"required": ["preset"]}]}
        return {**whole, "required": required}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _domains(leaf: LeafType, value: Schema, site: Schema) -> list[Schema]:
    """Return the domains that a type allows."""
    labelled = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _reference("label"),
        "additionalProperties": site,
    }
    options: list[Schema] = [labelled]
    domains: list[Schema] = []
    condition = {"when": _reference("when"), "else": value}
    if not is_subtree(leaf):
        options.insert(0, {"type": "array", "minItems": 1, "items": value})
        for kind, number in (("int", int), ("float", float)):
            if takes(leaf, number):
                parts = {key: _reference(key) for key in (kind, *DOMAIN_KEYS[kind])}
                domains.append(_domain(kind, {**parts, **condition}))
    return [_domain("choice", {"choice": {"anyOf": options}, **condition}), *domains]


def _domain(kind: str, properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [kind],
        "dependentRequired": {"when": ["else"], "else": ["when"]},
        "additionalProperties": False,
    }
