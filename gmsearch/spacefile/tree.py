"""The sections `model` and `train`: from nodes to trees with slots, and drafts of parameters.

Every value is checked by its type and limits; whether values fit each other is checked in `fit`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from gmsearch.errors import FieldError
from gmsearch.networks import FAMILIES, PRESETS, Candidate, preset_family
from gmsearch.plain import Value
from gmsearch.space.domains import Choice, Domain, Float, Int, Slot, Tree, When
from gmsearch.spacefile.fields import (
    ROWS,
    Field,
    LeafType,
    accepted_type,
    element,
    expected_type,
    fields_of,
    is_optional,
    is_subtree,
    report_type_errors,
    takes,
)
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import closest, listing, near, shown

DOMAIN_KEYS: dict[str, tuple[str, ...]] = {
    "choice": (),
    "int": ("step", "log"),
    "float": ("log", "steps"),
}
"""The kinds of domain, each with its keys other than `when` and `else`."""
CONDITION_KEYS = ("when", "else")
BROKEN: Final = Slot("")
"""Takes the place of a value with a mistake, which is reported already."""
LABEL = r"(?!(model|train)$)[A-Za-z0-9_+-]+"
"""A label of a subtree: a word without dots, which separate the parts of a path."""
_OPTION_TYPES: dict[str, LeafType] = {"step": int, "steps": int, "log": bool}


@dataclasses.dataclass(kw_only=True, slots=True)
class Draft:
    """A parameter as read, before its `when` is resolved."""

    path: str
    node: Node
    inside: tuple[When, ...]
    domain: Domain | None = None
    """None where the domain has a mistake."""
    else_: Tree = None


def canonical(path: str) -> str:
    """Return a parameter's path as it is shown, without a leading `model.`."""
    return path.removeprefix("model.")


def domain_kind(node: Node) -> str | None:
    """Return the kind of domain that a mapping describes; None where it is not a domain."""
    return next((kind for kind in DOMAIN_KEYS if kind in node.mapping), None)


class TreeReader:
    """Reads model and recipe; `drafts` are the parameters in the order of the file.

    The path of a node is that of its parameter: labels are part of it, `choice` is not.
    """

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self._with_presets: list[str] = []

    def read(self, node: Node, leaf: LeafType, inside: tuple[When, ...] | None = ()) -> Tree:
        """Return the tree of one node; with `inside` None it may not contain domains."""
        if kind := domain_kind(node):
            if inside is None:
                node.wrong("a domain is not allowed here; give a value or a label", node.key)
                return BROKEN
            return self._parameter(node, kind, leaf, inside)
        if is_subtree(leaf):
            return self._subtree(node, leaf, inside)
        return self._leaf(node, leaf, inside)

    def _subtree(self, node: Node, leaf: LeafType, inside: tuple[When, ...] | None) -> Tree:
        if not isinstance(node.value, Mapping):
            node.wrong(f"expected a mapping of `key: value`, got {shown(node.plain())}")
            return BROKEN
        cls = _family(node) if leaf == Candidate else leaf
        if cls is None:
            return BROKEN
        fields = fields_of(cls)
        if any(key in node.mapping for key in ROWS if key in fields):
            self._with_presets.append(f"{node.path}.")
        tree: dict[str, Tree] = {}
        for key, child in node.mapping.items():
            if key not in fields:
                node.wrong(f"unknown key {key!r}; {_remedy(key, fields)}", node.keys[key])
                continue
            value = self.read(child.named(f"{node.path}.{key}"), fields[key].type, inside)
            if value is not BROKEN:
                tree[key] = value
        if f"{node.path}.".startswith(tuple(self._with_presets)):
            return tree  # the preset gives the rest
        _report_missing(node, fields)
        defaults = {k: f.default for k, f in fields.items() if k not in ROWS and not f.required}
        return {**defaults, **tree}

    def _leaf(self, node: Node, leaf: LeafType, inside: tuple[When, ...] | None) -> Tree:
        part = element(leaf)
        if part is not None and any(item.mapping for item in node.items):
            parts = [
                self.read(item.named(f"{node.path}.{index}"), part, inside)
                for index, item in enumerate(node.items)
            ]
            return BROKEN if BROKEN in parts else tuple(parts)
        value = node.plain()
        if isinstance(value, Mapping):
            first = next(iter(value), "")
            node.wrong(
                f"expected {expected_type(leaf)} or a domain, got a mapping; "
                f"{near(first, (*DOMAIN_KEYS, *CONDITION_KEYS))}",
                node.keys.get(first),
            )
            return BROKEN
        if value == "none" and is_optional(leaf):
            return None
        wrong = report_type_errors(node, accepted_type(leaf, value))
        return BROKEN if wrong else cast("Tree", value)

    def _parameter(self, node: Node, kind: str, leaf: LeafType, inside: tuple[When, ...]) -> Tree:
        name = canonical(node.path)
        draft = self.drafts[name] = Draft(path=name, node=node, inside=inside)
        _check_domain_keys(node, kind)
        if "else" in node.mapping:
            draft.else_ = self.read(node.mapping["else"].named(f"{node.path}.else"), leaf, None)
        before = len(node.mistakes)
        try:
            if kind == "choice":
                draft.domain = self._choice(node, leaf, inside)
            else:
                draft.domain = _range(node, kind, leaf)
        except FieldError as error:
            at = node.mapping.get(error.path, node.mapping[kind])
            node.named(f"{node.path}.{error.path}").wrong(error.message, at.position)
        if draft.else_ is BROKEN or len(node.mistakes) > before:
            draft.domain = None
        return BROKEN if draft.domain is None else Slot(name)

    def _choice(self, node: Node, leaf: LeafType, inside: tuple[When, ...]) -> Choice | None:
        options = node.mapping["choice"]
        if isinstance(options.value, tuple):
            if is_subtree(leaf) or any(option.mapping for option in options.items):
                raise FieldError(
                    "choice",
                    "options that are mappings need labels; write {choice: {LABEL: …, LABEL: …}}",
                )
            values = [self.read(item.named(node.path), leaf, None) for item in options.items]
            if BROKEN in values:
                return None
            return Choice(options=cast("tuple[Value, ...]", tuple(values)))
        if not isinstance(options.value, Mapping):
            raise FieldError(
                "choice",
                f"expected a list of values, or labels with values, got {shown(options.plain())}",
            )
        trees: dict[Value, Tree] = {}
        for label, child in options.mapping.items():
            if not re.fullmatch(LABEL, label):
                node.wrong(
                    f"label {label!r} must consist of letters, digits, _, + and -, and may not be "
                    "model or train",
                    options.keys[label],
                )
            taken = When(canonical(node.path), (label,))
            trees[label] = self.read(child.named(f"{node.path}.{label}"), leaf, (*inside, taken))
        if BROKEN in trees.values():
            return None
        return Choice(options=tuple(trees), trees=tuple(trees.values()))


def _family(node: Node) -> type[Any] | None:
    """Return the spec of the family of a model; None where it is wrong."""
    family = node.mapping.get("family")
    if family is None:
        return _family_of_preset(node)
    if domain_kind(family):
        node.named(f"{node.path}.family").wrong(
            "a family cannot be searched by itself, since its fields differ; write "
            "`model: {choice: {LABEL: {family: …}, …}}`",
            family.key,
        )
        return None
    if not isinstance(family.value, str) or family.value not in FAMILIES:
        node.named(f"{node.path}.family").wrong(
            f"expected a family, got {shown(family.plain())}; {near(family.value, FAMILIES)}",
            family.position,
        )
        return None
    return FAMILIES[family.value].spec


def _family_of_preset(node: Node) -> type[Any] | None:
    """Return the common family of the presets that are named; a GmNet where none is."""
    preset = node.mapping.get("preset")
    named = preset.plain() if preset is not None else None
    if isinstance(named, dict):
        named = named.get("choice")
    options = named if isinstance(named, tuple) else (named,)
    meant = [o if o in PRESETS else closest(o, PRESETS) for o in map(str, options)]
    families = dict.fromkeys(preset_family(name) for name in meant if name is not None)
    if preset is not None and len(families) > 1:
        node.named(f"{node.path}.preset").wrong(
            f"these presets belong to {listing(families)}; write "
            "`model: {choice: {LABEL: {preset: …}, …}}`",
            preset.key,
        )
        return None
    return FAMILIES[next(iter(families), "gmnet")].spec


def _remedy(key: str, fields: Mapping[str, Field]) -> str:
    """Return the remedy for an unknown key of a subtree."""
    if key in (*CONDITION_KEYS, "step", "steps", "log"):
        return "it goes with a domain: `choice`, `int` or `float`"
    inner = [name for name, field in fields.items() if is_subtree(field.type)]
    owner = next((name for name in inner if key in fields_of(fields[name].type)), None)
    return f"it belongs to `{owner}`" if owner else near(key, (*fields, *DOMAIN_KEYS))


def _report_missing(node: Node, fields: Mapping[str, Field]) -> None:
    """Report required keys that are not given, unless a misspelt key means them."""
    meant = {closest(key, fields) for key in node.mapping if key not in fields}
    remedy = " or `preset: …`" if "preset" in fields else ""
    for key, field in fields.items():
        if field.required and key not in {*node.mapping, *meant}:
            node.wrong(f"{key} is missing; add `{key}: …`{remedy}", node.key)


def _check_domain_keys(node: Node, kind: str) -> None:
    """Report the keys that a domain cannot have."""
    allowed = (kind, *DOMAIN_KEYS[kind], *CONDITION_KEYS)
    for key, position in node.keys.items():
        if key in DOMAIN_KEYS and key != kind:
            node.wrong(f"{key} cannot be combined with {kind}; remove one", position)
        elif key not in allowed:
            node.wrong(f"unknown key {key!r}; {near(key, allowed)}", position)


def _range(node: Node, kind: str, leaf: LeafType) -> Domain | None:
    """Return an `int` or `float` domain; None where a part of it is wrong."""
    number = int if kind == "int" else float
    ends = node.mapping[kind].named(f"{node.path}.{kind}")
    if is_subtree(leaf) or not takes(leaf, number):
        wanted = "a subtree" if is_subtree(leaf) else expected_type(leaf)
        other = "int" if not is_subtree(leaf) and takes(leaf, int) else "choice"
        ends.wrong(f"expected {wanted}, got a range; use `{other}`")
        return None
    if report_type_errors(ends, tuple[number, number]):  # type: ignore[valid-type]
        return None
    given = {key: node.mapping[key] for key in DOMAIN_KEYS[kind] if key in node.mapping}
    wrong = [
        report_type_errors(child.named(f"{node.path}.{key}"), _OPTION_TYPES[key])
        for key, child in given.items()
    ]
    if any(wrong):
        return None
    options: dict[str, Any] = {key: child.value for key, child in given.items()}
    low, high = ends.plain()
    domain: Domain
    if kind == "int":
        domain = Int(low=low, high=high, **options)
    else:
        domain = Float(low=float(low), high=float(high), **options)
    item = accepted_type(leaf, 0)
    wrong = [report_type_errors(end.named(node.path), item) for end in ends.items]
    return None if any(wrong) else domain
