"""YAML text as a tree of plain values that know their path and position in the file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import ruamel.yaml
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from gmsearch.errors import FieldError
from gmsearch.spacefile.mistakes import Mistakes, Position
from gmsearch.wording import shown

Scalar = str | int | float | bool | None

MAX_DEPTH = 40
MAX_NODES = 50_000
"""Largest number of values after aliases are followed: a few lines cannot fill the memory."""
MAX_INTEGER = 2**53
"""Every integer up to here is a float as well, and so survives JSON and YAML."""

_TAG = "tag:yaml.org,2002:"
_WORDS = ("str", "timestamp", "value", "merge")
"""Tags of words: in YAML 1.2 dates, a lone `=` and `<<` are words."""
_CONSTRUCTED = ("null", "bool", "int", "float")
_REMEDIES = {
    r"'\t'": "indent with blanks, not tabs",
    "mapping values are not allowed": (
        "write one `key: value` per line, and quote text that contains `: `"
    ),
    "another document": "one file is one space; remove the `---`",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One value of the file."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    path: str
    """Dotted path in messages; empty for the whole file."""
    position: Position
    key: Position
    """Position of the key that holds the value; its own position where there is no key."""
    mistakes: Mistakes
    keys: Mapping[str, Position] = dataclasses.field(default_factory=dict)
    """Position of each key of a mapping (the position of the alias's target, if it is one)."""

    @property
    def mapping(self) -> Mapping[str, Node]:
        """The children by key; empty unless the value is a mapping."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The items of a list; empty unless the value is a list."""
        return self.value if isinstance(self.value, tuple) else ()

    def plain(self) -> Any:
        """Return the value without positions: scalars, tuples and dicts."""
        if isinstance(self.value, Mapping):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(child.plain() for child in self.value)
        return self.value

    def named(self, path: str) -> Node:
        """Return the node with another path; paths of its children stay as they are."""
        return dataclasses.replace(self, path=path)

    def without(self, *keys: str) -> Node:
        """Return a mapping without some of its keys."""
        rest = {key: child for key, child in self.mapping.items() if key not in keys}
        return dataclasses.replace(self, value=rest)

    def wrong(self, message: str, at: Position | None = None) -> None:
        """Report a mistake in this value, at its own position unless another is given."""
        prefix = f"{self.path}: " if self.path else ""
        self.mistakes.add(self.position if at is None else at, f"{prefix}{message}")

    def report(self, error: FieldError) -> None:
        """Report every error of an object that was built from this node.

        An error in a value that the file does not give is reported at the key of this node.
        """
        for one in error.errors:
            child = self.descend(one.path)
            path = ".".join(filter(None, (self.path, one.path)))
            at = self.key if child is None or child is self else child.position
            self.named(path).wrong(one.message, at)

    def descend(self, path: str) -> Node | None:
        """Return the node at a dotted path below this one; None where the file has none."""
        node: Node | None = self
        for key in filter(None, path.split(".")):
            if node is not None and key.isdigit() and int(key) < len(node.items):
                node = node.items[int(key)]
            else:
                node = node.mapping.get(key) if node is not None else None
        return node


def parse_yaml(text: str, mistakes: Mistakes) -> Node:
    """Read one YAML 1.2 document, a mapping.

    Raises:
        SpaceError: where the text is not YAML. Keys given twice, tags, merge keys and numbers
            that are too large go to `mistakes`, and reading continues.
    """
    # The composer gives nodes with their marks; the round-trip reader would add comments, and
    # fails on some of them. Both read YAML 1.2: `3e-3` is a number, `off` a word.
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False  # YAML allows an anchor to be set again
    try:
        raw = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        mistakes.fatal((mark.line + 1, mark.column + 1), _syntax_error(error))
    except ReaderError as error:
        before = text[: error.position]
        position = (before.count("\n") + 1, error.position - before.rfind("\n"))
        mistakes.fatal(position, f"character #x{error.character:x} is not text; remove it")
    except (YAMLError, ValueError, OverflowError) as error:
        mistakes.fatal((1, 1), f"not YAML: {' '.join(str(error).split())}")
    if raw is None:
        mistakes.fatal((1, 1), "the file is empty; begin with `study: NAME`")
    if yaml.resolver.processing_version != (1, 2):
        mistakes.fatal((1, 1), "the file is read as YAML 1.2; remove the %YAML line")
    try:
        root = _Reader(yaml.constructor, mistakes).node(raw, "", None)
    except _TooManyNodesError:
        mistakes.fatal(
            (1, 1), f"aliases expand the file to more than {MAX_NODES} values; use fewer"
        )
    if not isinstance(root.value, Mapping):
        mistakes.fatal(
            root.position,
            f"expected a mapping, got {shown(root.plain())}; begin with `study: NAME`",
        )
    return root


def _syntax_error(error: MarkedYAMLError) -> str:
    """Return one line on why a text is not YAML, with the remedy where it is known."""
    if isinstance(error, MaxDepthExceededError):
        return f"nested more than {MAX_DEPTH} levels deep; flatten it"
    reason = " ".join(str(error.problem or error.context).split())
    for sign, remedy in _REMEDIES.items():
        if sign in reason:
            return f"not YAML: {reason}; {remedy}"
    return f"not YAML: {reason}"


class _TooManyNodesError(Exception):
    pass


class _Reader:
    """Converts ruamel's nodes to Nodes, counts them, and tracks the nodes that it is inside."""

    def __init__(self, constructor: Any, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._construct: dict[str, Callable[[Any], Scalar]] = {
            kind: getattr(constructor, f"construct_yaml_{kind}") for kind in _CONSTRUCTED
        }
        self._count = 0
        self._inside: list[Any] = []

    def node(self, raw: Any, path: str, key: Position | None) -> Node:
        position = _position(raw)
        self._count += 1
        if self._count > MAX_NODES:
            raise _TooManyNodesError
        if any(raw is outer for outer in self._inside):
            self._mistakes.add(
                key or position, "an alias contains itself; write the value out instead"
            )
            return Node(None, path, position, key or position, self._mistakes)
        self._inside.append(raw)
        try:
            return self._node(raw, path, position, key or position)
        finally:
            self._inside.pop()

    def _node(self, raw: Any, path: str, position: Position, key: Position) -> Node:
        if isinstance(raw, MappingNode):
            return self._mapping(raw, path, position, key)
        value: Scalar | tuple[Node, ...]
        if isinstance(raw, SequenceNode):
            self._tag(raw, ("seq",))
            value = tuple(
                self.node(item, _join(path, str(index)), None)
                for index, item in enumerate(raw.value)
            )
        else:
            value = self._scalar(raw)
        return Node(value, path, position, key, self._mistakes)

    def _tag(self, raw: Any, known: tuple[str, ...]) -> str:
        tag = str(raw.tag)
        name = tag.removeprefix(_TAG)
        if not tag.startswith(_TAG) or name not in known:
            self._mistakes.add(
                _position(raw), f"tag {tag.replace(_TAG, '!!')!r} is not allowed; remove it"
            )
        return name

    def _mapping(self, raw: Any, path: str, position: Position, key: Position) -> Node:
        self._tag(raw, ("map",))
        children: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        for raw_key, raw_value in raw.value:
            at = _position(raw_key)
            if str(raw_key.tag) == f"{_TAG}merge":
                self._mistakes.add(at, "merge keys (`<<`) are not supported; write the keys out")
                continue
            name = self._scalar(raw_key) if isinstance(raw_key, ScalarNode) else ()
            if not isinstance(name, str):
                text = raw_key.value if isinstance(raw_key, ScalarNode) else "a collection"
                self._mistakes.add(at, f"expected a word as key, got {text}; quote it")
            elif name in children:
                self._mistakes.add(
                    at, f"key {name!r} is given twice, first on line {keys[name][0]}; remove one"
                )
            else:
                children[name], keys[name] = self.node(raw_value, _join(path, name), at), at
        return Node(children, path, position, key, self._mistakes, keys)

    def _scalar(self, raw: Any) -> Scalar:
        kind = self._tag(raw, (*_WORDS, *_CONSTRUCTED))
        if kind not in self._construct:
            text: str = raw.value
            return text
        try:
            value = self._construct[kind](raw)
        except (ValueError, KeyError, IndexError):
            self._mistakes.add(
                _position(raw), f"{raw.value!r} is not of the type of its tag; quote it"
            )
            return None
        if isinstance(value, (int, float)) and not _is_usable(value):
            self._mistakes.add(
                _position(raw), f"expected a finite number up to 2^53, got {raw.value[:40]}"
            )
            return 1
        return value


def _is_usable(number: float) -> bool:
    return abs(number) <= MAX_INTEGER or (isinstance(number, float) and math.isfinite(number))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _position(raw: Any) -> Position:
    return raw.start_mark.line + 1, raw.start_mark.column + 1
