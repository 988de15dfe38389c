"""The sections `model` and `train`: from nodes to trees with slots, and drafts of parameters.

Every leaf is checked by its type; whether values fit each other is judged in `fit`.
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
from gmsearch.spacefile.forms import (
    ROWS,
    Form,
    element,
    fields_of,
    is_subtree,
    leaf_schema,
    misfit,
    refuse,
    takes_none,
)
from gmsearch.spacefile.mistakes import Mistakes, words
from gmsearch.spacefile.nodes import Node
from gmsearch.wording import closest, near, shown

DOMAIN_KEYS: dict[str, tuple[str, ...]] = {
    "choice": (),
    "int": ("step", "log"),
    "float": ("log", "steps"),
}
"""The kinds of domain, and what may stand beside each but for `when` and `else`."""
CONDITION_KEYS = ("when", "else")
BROKEN: Final = Slot("")
"""Stands where the file has a mistake that is told already."""
LABEL = r"(?!(model|train)$)[A-Za-z0-9_+-]+"
"""Of a subtree: a word without dots, which part the names in a path; no section's name."""


@dataclasses.dataclass(kw_only=True, slots=True)
class Draft:
    """A parameter as it was read, its `when` not yet looked up."""

    path: str
    node: Node
    inside: tuple[When, ...]
    domain: Domain | None = None
    """None where it has a mistake of its own."""
    else_: Tree = None


def canonical(path: str) -> str:
    """Return a parameter's path as it is shown: a leading `model.` left out."""
    return path.removeprefix("model.")


def domain_kind(node: Node) -> str | None:
    """Return which domain a mapping says, if it says one."""
    return next((kind for kind in DOMAIN_KEYS if kind in node.mapping), None)


class TreeReader:
    """Reads model and recipe; the drafts come in the order of the file."""

    def __init__(self, mistakes: Mistakes) -> None:
        """Start with no parameter."""
        self._mistakes = mistakes
        self.drafts: dict[str, Draft] = {}
        self._of_presets: list[str] = []

    def read(
        self, node: Node, form: Form, path: str, inside: tuple[When, ...] | None = ()
    ) -> Tree:
        """Return the tree of one node; with `inside` None no domain may stand in it."""
        if kind := domain_kind(node):
            if inside is None:
                self._mistakes.add(
                    node.key,
                    f"{path}: a domain cannot stand here; write a value or a label",
                )
                return BROKEN
            return self._parameter(node, kind, form, path, inside)
        if is_subtree(form):
            return self._subtree(node, form, path, inside)
        return self._leaf(node, form, path, inside)

    def _subtree(self, node: Node, form: Form, path: str, inside: tuple[When, ...] | None) -> Tree:
        if not isinstance(node.value, Mapping):
            self._mistakes.add(
                node.place, f"{path}: {shown(node.plain())} is not a mapping of `key: value`"
            )
            return BROKEN
        cls = self._family(node, path) if form == Candidate else form
        if cls is None:
            return BROKEN
        fields = fields_of(cls)
        if any(key in node.mapping for key in ROWS if key in fields):
            self._of_presets.append(f"{path}.")
        tree: dict[str, Tree] = {}
        for key, child in node.mapping.items():
            if key not in fields:
                self._unknown_key(node, key, path, cls)
                continue
            value = self.read(child, fields[key].form, f"{path}.{key}", inside)
            if value is not BROKEN:
                tree[key] = value
        if f"{path}.".startswith(tuple(self._of_presets)):
            return tree  # what is not given is the preset's
        meant = {closest(key, fields) for key in node.mapping if key not in fields}
        for key, field in fields.items():
            if field.required and key not in {*node.mapping, *meant}:
                self._mistakes.add(
                    node.key, f"{path}: {key} is missing; add `{key}: …`{_or_preset(fields)}"
                )
        defaults = {k: f.default for k, f in fields.items() if k not in ROWS and not f.required}
        return {**defaults, **tree}

    def _family(self, node: Node, path: str) -> type[Any] | None:
        family = node.mapping.get("family")
        if family is None:
            return self._family_of_preset(node, path)
        name = family.value
        if domain_kind(family):
            self._mistakes.add(
                family.key,
                f"{path}.family: a family is not searched by itself, its fields differ; "
                "write `model: {choice: {LABEL: {family: …}, …}}`",
            )
            return None
        if not isinstance(name, str) or name not in FAMILIES:
            self._mistakes.add(
                family.place,
                f"{path}.family: {shown(family.plain())} is not a family; {near(name, FAMILIES)}",
            )
            return None
        return FAMILIES[name].spec

    def _family_of_preset(self, node: Node, path: str) -> type[Any] | None:
        """Return the family that the presets named have in common; a GmNet where none is."""
        preset = node.mapping.get("preset")
        named = preset.plain() if preset is not None else None
        if isinstance(named, dict):
            named = named.get("choice")
        options = named if isinstance(named, tuple) else (named,)
        meant = [o if o in PRESETS else closest(o, PRESETS) for o in map(str, options)]
        families = dict.fromkeys(preset_family(name) for name in meant if name is not None)
        if preset is not None and len(families) > 1:
            self._mistakes.add(
                preset.key,
                f"{path}.preset: these are presets of {' and '.join(families)}; "
                "write `model: {choice: {LABEL: {preset: …}, …}}`",
            )
            return None
        return FAMILIES[next(iter(families), "gmnet")].spec

    def _unknown_key(self, node: Node, key: str, path: str, cls: type[Any]) -> None:
        known = fields_of(cls)
        if key in (*CONDITION_KEYS, "step", "steps", "log"):
            remedy = "it stands beside a domain: `choice`, `int` or `float`"
        else:
            inner = [name for name, f in known.items() if is_subtree(f.form)]
            owner = next((name for name in inner if key in fields_of(known[name].form)), None)
            remedy = f"it belongs to `{owner}`" if owner else near(key, (*known, *DOMAIN_KEYS))
        self._mistakes.add(node.keys[key], f"{path}: unknown key {key!r}; {remedy}")

    def _leaf(self, node: Node, form: Form, path: str, inside: tuple[When, ...] | None) -> Tree:
        children = node.value if isinstance(node.value, tuple) else ()
        part = element(form)
        if part is not None and any(child.mapping for child in children):
            parts = [
                self.read(child, part, f"{path}.{index}", inside)
                for index, child in enumerate(children)
            ]
            return BROKEN if BROKEN in parts else tuple(parts)
        value = node.plain()
        if isinstance(value, Mapping):
            keys = (*DOMAIN_KEYS, *CONDITION_KEYS)
            first = next(iter(value), "")
            self._mistakes.add(
                node.keys.get(first, node.place),
                f"{path}: a mapping is not {words(leaf_schema(form))}, "
                f"nor a domain; {near(first, keys)}",
            )
            return BROKEN
        if value == "none" and takes_none(form):
            return None
        if (where := misfit(form, value)) is not None:
            refuse(node, where, leaf_schema(form), path, self._mistakes)
            return BROKEN
        leaf: Tree = value
        return leaf

    def _parameter(
        self, node: Node, kind: str, form: Form, path: str, inside: tuple[When, ...]
    ) -> Tree:
        name = canonical(path)
        draft = Draft(path=name, node=node, inside=inside)
        self.drafts[name] = draft
        allowed = (kind, *DOMAIN_KEYS[kind], *CONDITION_KEYS)
        for key in node.mapping:
            if key in DOMAIN_KEYS and key != kind:
                self._mistakes.add(
                    node.keys[key], f"{path}: {key} stands beside {kind}; give one of them"
                )
            elif key not in allowed:
                self._mistakes.add(
                    node.keys[key], f"{path}: unknown key {key!r}; {near(key, allowed)}"
                )
        if "else" in node.mapping:
            draft.else_ = self.read(node.mapping["else"], form, f"{path}.else", None)
        try:
            if kind == "choice":
                draft.domain = self._choice(node.mapping["choice"], form, path, inside)
            else:
                draft.domain = self._range(node, kind, form)
        except FieldError as error:
            at = node.mapping.get(error.path, node.mapping[kind])
            self._mistakes.add(at.place, f"{path}: {error}")
            return BROKEN
        if draft.else_ is BROKEN:
            draft.domain = None
        return BROKEN if draft.domain is None else Slot(name)

    def _choice(
        self, node: Node, form: Form, path: str, inside: tuple[When, ...]
    ) -> Choice | None:
        if isinstance(node.value, tuple):
            if is_subtree(form) or any(option.mapping for option in node.value):
                raise FieldError(
                    "choice",
                    "has options that are mappings; give each a label: "
                    "{choice: {LABEL: …, LABEL: …}}",
                )
            options = [self.read(option, form, path, None) for option in node.value]
            if BROKEN in options:
                return None
            return Choice(options=cast("tuple[Value, ...]", tuple(options)))
        if not isinstance(node.value, Mapping):
            raise FieldError(
                "choice", f"{shown(node.plain())} is neither a list of values nor labels with them"
            )
        trees: dict[Value, Tree] = {}
        for label, child in node.mapping.items():
            if not re.fullmatch(LABEL, label):
                self._mistakes.add(
                    node.keys[label],
                    f"{path}: label {label!r} must be a word of letters, digits, _, + and -, "
                    "and not model or train",
                )
            taken = When(canonical(path), (label,))
            trees[label] = self.read(child, form, f"{path}.{label}", (*inside, taken))
        if BROKEN in trees.values():
            return None
        return Choice(options=tuple(trees), trees=tuple(trees.values()))

    def _range(self, node: Node, kind: str, form: Form) -> Domain:
        number = int if kind == "int" else float
        given = {key: node.mapping[key] for key in DOMAIN_KEYS[kind] if key in node.mapping}
        ends = self._of_type(node.mapping[kind], tuple[number, number], kind)  # type: ignore[valid-type]
        sample = ends[0] if kind == "int" else 0.5
        if is_subtree(form) or misfit(form, sample) is not None:
            wanted = "a subtree" if is_subtree(form) else words(leaf_schema(form))
            other = "int" if not is_subtree(form) and misfit(form, 1) is None else "choice"
            raise FieldError(kind, f"does not fit, it must be {wanted}; use `{other}`")
        options: dict[str, Any] = {
            key: self._of_type(child, bool if key == "log" else int, key)
            for key, child in given.items()
        }
        if kind == "int":
            return Int(low=ends[0], high=ends[1], **options)
        return Float(low=float(ends[0]), high=float(ends[1]), **options)

    def _of_type(self, node: Node, form: Form, key: str) -> Any:
        value = node.plain()
        if misfit(form, value) is not None:
            raise FieldError(key, f"{shown(value)} is not {words(leaf_schema(form))}")
        return value


def _or_preset(fields: Mapping[str, Any]) -> str:
    return " or `preset: …`" if "preset" in fields else ""
