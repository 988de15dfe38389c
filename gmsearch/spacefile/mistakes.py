"""The mistakes of one space file, gathered; and the words in which they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from gmsearch.errors import Mistake, SpaceError
from gmsearch.wording import closest, shown

Place = tuple[int, int]
"""Line and column, from 1."""


class Mistakes:
    """Gathers what is wrong with a file, so that all of it can be told at once."""

    def __init__(self, file: str) -> None:
        """Start without a mistake; `file` is what the messages call the file."""
        self._file = file
        self._found: dict[Mistake, None] = {}

    def add(self, place: Place, message: str) -> None:
        """Keep one mistake; the same one twice (through a YAML alias) is told once."""
        self._found[Mistake(self._file, *place, message)] = None

    def __len__(self) -> int:
        """Return how many were found so far."""
        return len(self._found)

    def fatal(self, place: Place, message: str) -> NoReturn:
        """Raise SpaceError with this mistake, after which nothing more can be read."""
        self.add(place, message)
        raise SpaceError(list(self._found))

    def raise_any(self) -> None:
        """Raise SpaceError with all that was found, if anything was."""
        if self._found:
            raise SpaceError(list(self._found))


def words(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one line per kind of schema
    """Return in words what a JSON Schema without references asks for."""
    if "anyOf" in schema:
        one, *others = [part for part in schema["anyOf"] if part != {"const": "none"}]
        if [part.get("items") for part in others] == [one]:
            return f"{words(one)} or a list of such"
        return " or ".join(words(part) for part in (one, *others))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return shown(schema["const"])
    if "pattern" in schema:
        return str(schema["description"])
    if "prefixItems" in schema:
        return f"a list [{', '.join(words(part) for part in schema['prefixItems'])}]"
    if schema.get("type") == "array":
        least = f" of at least {schema['minItems']}" if "minItems" in schema else ""
        return f"a list{least}, each {words(schema['items'])}"
    said = [f"{word} {schema[key]:.10g}" for key, word in _LIMITS.items() if key in schema]
    return " ".join([_KINDS.get(schema.get("type", ""), "another value"), *said])


_KINDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "a word",
    "boolean": "true or false",
    "null": "none",
}
_LIMITS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "exclusiveMaximum": "below",
}


def below(schema: Mapping[str, Any], indices: Sequence[int]) -> Mapping[str, Any]:
    """Return the schema of an item of a list, or of an item of such an item."""
    for index in indices:
        parts = [schema, *schema.get("anyOf", ())]
        for part in parts:
            if "prefixItems" in part:
                schema = part["prefixItems"][min(index, len(part["prefixItems"]) - 1)]
            elif "items" in part:
                schema = part["items"]
    return schema


def near_miss(value: object, schema: Mapping[str, Any]) -> str:
    """Return the remedy for a value that nearly is what the schema asks for, else nothing."""
    names = _enumerated(schema)
    if close := closest(value, names):
        return f"; did you mean {close!r}?"
    if isinstance(value, str) and {"integer", "number"} & _types(schema):
        try:
            float(value)
        except ValueError:
            return ""
        return "; remove the quotes"
    unquoted = isinstance(value, (int, float)) and _types(schema) <= {"string", "null"}
    return "; put it in quotes" if unquoted and not names else ""


def _enumerated(schema: Mapping[str, Any]) -> list[str]:
    parts = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]
    own = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return [*map(str, own), *(name for part in parts for name in _enumerated(part))]


def _types(schema: Mapping[str, Any]) -> set[str]:
    parts = schema.get("anyOf", (schema,))
    return {part["type"] for part in parts if "type" in part}
