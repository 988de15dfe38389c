"""The JSON Schema of a space file, from the definitions it is read by, for editors to complete.

It says what may stand where; what values must have to do with each other only a load can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from gmsearch import metrics
from gmsearch.experiment import DATA_SPECS, TIMED_NAME, Bands, Recipe
from gmsearch.networks import FAMILIES, Candidate
from gmsearch.plain import plain as listed
from gmsearch.space.domains import MAX_STEPS
from gmsearch.space.methods import users_of
from gmsearch.space.settings import Match, Resources, Search, TuneOptions
from gmsearch.spacefile.fairness import tunable, value_schema
from gmsearch.spacefile.forms import (
    ROWS,
    Form,
    descriptions,
    element,
    fields_of,
    is_subtree,
    leaf_schema,
    misfit,
    specs,
)
from gmsearch.spacefile.sections import (
    REQUIRED,
    SECTIONS,
    Bounds,
    Direction,
    Name,
    schema_of,
)
from gmsearch.spacefile.tree import DOMAIN_KEYS, LABEL

Schema = dict[str, Any]

_VALUE: Schema = {
    "type": ["string", "number", "boolean", "null", "array"],
    "items": {"type": ["string", "number", "boolean", "null"]},
}
_CONDITION: Schema = {
    "description": "The domain holds where each parameter named takes (one of) the values.",
    "type": "object",
    "minProperties": 1,
    "additionalProperties": _VALUE,
}
_BESIDE: dict[str, Schema] = {
    "step": {"type": "integer", "minimum": 1},
    "log": {"type": "boolean", "description": "Even in the logarithm."},
    "steps": {"type": "integer", "minimum": 2, "maximum": MAX_STEPS},
}


def json_schema() -> Schema:
    """Return the schema (draft 2020-12) of the whole file, domains at the leaves included."""
    sites = _Sites()
    name = schema_of(Name)["properties"]
    parts: dict[str, Schema] = {
        "study": name["study"],
        "about": name["about"],
        "plugins": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "model": sites.site("model", Candidate),
        "train": sites.site("train", Recipe),
        "baseline": {"type": "object", "additionalProperties": _VALUE},
        "forbid": {
            "type": "array",
            "items": {"type": "object", "minProperties": 1, "additionalProperties": _VALUE},
        },
        "data": _data(),
        "bands": _section(Bands),
        "objectives": {**_by_metric({"enum": list(get_args(Direction))}), "minProperties": 1},
        "constraints": _by_metric({**_section(Bounds), "minProperties": 1}),
        "search": _search(),
        "tune": _tune(),
        "match": _match(),
        "resources": _section(Resources),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gmsearch space",
        "type": "object",
        "properties": {key: {**parts[key], "description": said} for key, said in SECTIONS.items()},
        "required": list(REQUIRED),
        "additionalProperties": False,
        "$defs": sites.definitions,
    }


class _Sites:
    """The places of model and train: each takes a value or a domain of such values.

    A label of a choice may hold the same again, so that every place has a definition of its own.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {"when": _CONDITION}

    def site(self, name: str, form: Form) -> Schema:
        """Return a reference to what may stand at a place of model or train."""
        reference: Schema = {"$ref": f"#/$defs/{name}"}
        if name not in self.definitions:
            self.definitions[name] = {}
            plain = self._subtree(name, form) if is_subtree(form) else leaf_schema(form)
            self.definitions[f"{name}.value"] = plain
            value = {"$ref": f"#/$defs/{name}.value"}
            domains = _domains(form, value, reference)
            self.definitions[name] = {"anyOf": [self._with_elements(name, form, value), *domains]}
        return reference

    def _with_elements(self, name: str, form: Form, plain: Schema) -> Schema:
        """Let the elements of a list be domains as well."""
        part = None if is_subtree(form) else element(form)
        if part is None:
            return plain
        items = {"type": "array", "items": self.site(f"{name}.element", part)}
        return {"anyOf": [plain, items]}

    def _subtree(self, name: str, form: Form) -> Schema:
        classes = specs() if form == Candidate else (form,)
        options = [self._object(name, cls) for cls in classes]
        return options[0] if len(options) == 1 else {"anyOf": options}

    def _object(self, name: str, cls: type[Any]) -> Schema:
        said = descriptions(cls)
        prefix = f"{name}.{cls.__name__}" if cls in specs() else name
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for key, field in fields_of(cls).items():
            family = key == "family"  # the one leaf that takes no domain
            place = leaf_schema(field.form) if family else self.site(f"{prefix}.{key}", field.form)
            default = {} if field.required or key in ROWS else {"default": listed(field.default)}
            about = {"description": said[key]} if key in said else {}
            properties[key] = {**place, **about, **default}
            required += [key] if field.required else []
        whole: Schema = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        if cls in specs() and cls is not FAMILIES["gmnet"].spec:
            required = ["family", *required]  # a tree without family and preset is a GmNet
        if "preset" in properties:
            return {**whole, "anyOf": [{"required": required}, {"required": ["preset"]}]}
        return {**whole, "required": required}


def _domains(form: Form, plain: Schema, site: Schema) -> list[Schema]:
    """Return the domains that may stand at a place."""
    labelled = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{LABEL}$"},
        "additionalProperties": site,
    }
    options: list[Schema] = [labelled]
    domains: list[Schema] = []
    condition = {"when": {"$ref": "#/$defs/when"}, "else": plain}
    if not is_subtree(form):
        options.insert(0, {"type": "array", "minItems": 1, "items": plain})
        for kind, sample, number in (("int", 1, "integer"), ("float", 0.5, "number")):
            if misfit(form, sample) is None:
                ends = {"type": "array", "items": {"type": number}, "minItems": 2, "maxItems": 2}
                besides = {key: _BESIDE[key] for key in DOMAIN_KEYS[kind]}
                domains.append(_domain(kind, {kind: ends, **besides, **condition}))
    return [_domain("choice", {"choice": {"anyOf": options}, **condition}), *domains]


def _domain(kind: str, properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [kind],
        "dependentRequired": {"when": ["else"], "else": ["when"]},
        "additionalProperties": False,
    }


def _section(cls: Form) -> Schema:
    """Return the schema of a section without domains: fields described, `none` beside null."""
    said, schema = descriptions(cls), schema_of(cls)
    properties = {}
    for key, part in schema["properties"].items():
        takes_null = {"type": "null"} in part.get("anyOf", ())
        words = {"anyOf": [*part["anyOf"], {"const": "none"}]} if takes_null else {}
        about = {"description": said[key]} if key in said else {}
        properties[key] = {**about, **part, **words}
    return {**schema, "properties": properties}


def _data() -> Schema:
    sets = [_section(cls) for cls in DATA_SPECS.values()]
    return {"anyOf": [{**section, "required": ["name"]} for section in sets]}


def _search() -> Schema:
    candidates = {"required": ["candidates"]}
    return {
        **_section(Search),
        "if": {"properties": {"method": {"enum": users_of("candidates")}}},
        "then": candidates,
        "else": {"not": candidates},
    }


def _tune() -> Schema:
    section, said = _section(TuneOptions), descriptions(Recipe)
    leaves = {
        name: {**value_schema(form), **({"description": said[name]} if name in said else {})}
        for name, form in tunable().items()
    }
    named = [{"required": [name]} for name in leaves]
    return {**section, "properties": {**leaves, **section["properties"]}, "anyOf": named}


def _match() -> Schema:
    costs = [{"required": [name]} for name in ("flops", "params")]
    return {**_section(Match), "oneOf": costs}


def _by_metric(part: Schema) -> Schema:
    return {
        "type": "object",
        "properties": dict.fromkeys(metrics.names(), part),
        "patternProperties": {f"^(?:{metrics.band_pattern()})$": part, f"^{TIMED_NAME}$": part},
        "additionalProperties": False,
    }
