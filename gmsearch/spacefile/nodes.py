"""YAML text as a tree of plain values that know their place; what a space is, it does not know."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import ruamel.yaml
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from gmsearch.spacefile.mistakes import Mistakes, Place
from gmsearch.wording import shown

Scalar = str | int | float | bool | None

MAX_DEPTH = 40
MAX_NODES = 50_000
"""After aliases are followed, so that a file of a few lines cannot fill the memory."""
MAX_INTEGER = 2**53
"""Every integer up to here is a float as well, and so survives JSON and YAML."""

_TAG = "tag:yaml.org,2002:"
# A date and a lone `=` are words: YAML 1.2 has no type for them.
_WORDS = ("str", "timestamp", "value", "merge")
_REMEDIES = {
    r"'\t'": "indent with blanks, not tabs",
    "mapping values are not allowed": (
        "one `key: value` a line, and quote a text that has `: ` in it"
    ),
    "another document": "one file is one space, remove the `---`",
}
_BASES = {"0b": 2, "0o": 8, "0x": 16}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One value of the file."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    place: Place
    key: Place
    """Where the key stands that holds it; its own place where there is none."""
    keys: Mapping[str, Place] = dataclasses.field(default_factory=dict)
    """Of a mapping: where each key stands (also where its value comes from an alias)."""

    @property
    def mapping(self) -> Mapping[str, Node]:
        """The children by key; empty for what is no mapping."""
        return self.value if isinstance(self.value, Mapping) else {}

    def descend(self, path: str) -> Node | None:
        """Return the node at a dotted path below this one; None where the file has none."""
        node: Node | None = self
        for key in path.split("."):
            if node is not None and isinstance(node.value, tuple) and key.isdigit():
                node = node.value[int(key)] if int(key) < len(node.value) else None
            else:
                node = node.mapping.get(key) if node is not None else None
        return node

    def plain(self) -> Any:
        """Return the value without places: scalars, tuples and dicts."""
        if isinstance(self.value, Mapping):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(child.plain() for child in self.value)
        return self.value


def parse(text: str, mistakes: Mistakes) -> Node:
    """Read one YAML 1.2 document, a mapping.

    Raises:
        SpaceError: if it is not YAML. What can be read past goes to `mistakes`: keys given twice,
            tags, numbers too large.
    """
    # Only the nodes are asked for, with their places; the round-trip reader would add comments,
    # over some of which it stumbles. Both read YAML 1.2: `3e-3` is a number, `off` a word.
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False  # YAML allows an anchor to be set anew
    try:
        raw = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        mistakes.fatal((mark.line + 1, mark.column + 1), _reason(error))
    except ReaderError as error:
        before = text[: error.position]
        place = (before.count("\n") + 1, error.position - before.rfind("\n"))
        mistakes.fatal(place, f"character #x{error.character:x} cannot stand in a text; remove it")
    except (YAMLError, ValueError, OverflowError) as error:
        mistakes.fatal((1, 1), f"not YAML: {' '.join(str(error).split())}")
    if raw is None:
        mistakes.fatal((1, 1), "the file is empty; begin with `study: NAME`")
    if yaml.resolver.processing_version != (1, 2):
        mistakes.fatal((1, 1), "the file is read as YAML 1.2; remove the %YAML line")
    try:
        root = _Reader(mistakes).node(raw, None)
    except _TooManyNodesError:
        mistakes.fatal((1, 1), f"aliases make more than {MAX_NODES} values of the file; use fewer")
    if not isinstance(root.value, Mapping):
        said = shown(root.plain())
        mistakes.fatal(root.place, f"{said} is not a mapping; begin with `study: NAME`")
    return root


def _reason(error: MarkedYAMLError) -> str:
    """Return in one line why a text is not YAML, and what would be where that is plain."""
    if isinstance(error, MaxDepthExceededError):
        return f"nested more than {MAX_DEPTH} levels deep; write it flatter"
    reason = " ".join(str(error.problem or error.context).split())
    for sign, remedy in _REMEDIES.items():
        if sign in reason:
            return f"not YAML: {reason}; {remedy}"
    return f"not YAML: {reason}"


class _TooManyNodesError(Exception):
    pass


class _Reader:
    """Turns ruamel's nodes into ours; counts them, and knows which it is inside of."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._count = 0
        self._inside: list[Any] = []

    def node(self, raw: Any, key: Place | None) -> Node:
        place = _place(raw)
        self._count += 1
        if self._count > MAX_NODES:
            raise _TooManyNodesError
        if any(raw is outer for outer in self._inside):
            self._mistakes.add(key or place, "an alias that contains itself; write the value out")
            return Node(None, place, key or place)
        self._inside.append(raw)
        try:
            if isinstance(raw, MappingNode):
                return self._mapping(raw, place, key or place)
            if isinstance(raw, SequenceNode):
                self._tag(raw, ("seq",))
                return Node(tuple(self.node(v, None) for v in raw.value), place, key or place)
            return Node(self._scalar(raw), place, key or place)
        finally:
            self._inside.pop()

    def _tag(self, raw: Any, known: tuple[str, ...]) -> str:
        tag = str(raw.tag)
        name = tag.removeprefix(_TAG)
        if not tag.startswith(_TAG) or name not in known:
            self._mistakes.add(
                _place(raw), f"tag {tag.replace(_TAG, '!!')!r} is not allowed; remove it"
            )
        return name

    def _mapping(self, raw: Any, place: Place, key: Place) -> Node:
        self._tag(raw, ("map",))
        children: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[Node] = []
        for raw_key, raw_value in raw.value:
            at = _place(raw_key)
            if str(raw_key.tag) == f"{_TAG}merge":
                merged += self._merged(raw_value, at)
                continue
            name = self._scalar(raw_key) if isinstance(raw_key, ScalarNode) else ()
            if not isinstance(name, str):
                text = raw_key.value if isinstance(raw_key, ScalarNode) else "that is no scalar"
                self._mistakes.add(at, f"key {text} is not a word; name it, or quote it")
            elif name in children:
                line = keys[name][0]
                self._mistakes.add(
                    at, f"key {name!r} is given twice, first on line {line}; remove one"
                )
            else:
                children[name], keys[name] = self.node(raw_value, at), at
        for source in merged:
            for name, child in source.mapping.items():
                if name not in children:
                    children[name], keys[name] = child, source.keys[name]
        return Node(children, place, key, keys)

    def _merged(self, raw: Any, at: Place) -> list[Node]:
        """Return the mappings behind a merge key, the first having the last word."""
        node = self.node(raw, at)
        sources = list(node.value) if isinstance(node.value, tuple) else [node]
        for source in sources:
            if not isinstance(source.value, Mapping):
                self._mistakes.add(at, "`<<` merges mappings; give it an alias of a mapping")
        return sources

    def _scalar(self, raw: Any) -> Scalar:
        text = raw.value
        kind = self._tag(raw, (*_WORDS, "int", "float", "bool", "null"))
        try:
            value = _converted(kind, text)
        except ValueError:
            self._mistakes.add(_place(raw), f"{text!r} is not of the type its tag says; quote it")
            return None
        if (
            isinstance(value, (int, float))
            and not abs(value) <= MAX_INTEGER
            and not (isinstance(value, float) and math.isfinite(value))
        ):
            self._mistakes.add(
                _place(raw),
                f"{text[:40]} is not a number that can be computed with; "
                "give a finite number, an integer within 2^53",
            )
            return 1
        return value


def _place(raw: Any) -> Place:
    return raw.start_mark.line + 1, raw.start_mark.column + 1


def _converted(kind: str, text: str) -> Scalar:
    """Return the value of a scalar of YAML's core schema; ValueError where it has none."""
    if kind == "null":
        return None
    if kind == "bool":
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    digits = text.replace("_", "").lower()
    if kind == "float":
        return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    if kind == "int":
        unsigned = digits.lstrip("+-")
        return int(digits, _BASES.get(unsigned[:2], 10))
    return text
