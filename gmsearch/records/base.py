"""Fields of a record as keys of a line, the same for every kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from gmsearch.plain import plain

Parsers = Mapping[str, Callable[[Any], Any]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RecordPart:
    """Fields written as the keys of a JSON object, in their order.

    Keys that a later release added are kept in `extra` and written after the others.
    """

    parsers: ClassVar[Parsers] = {}
    """Functions that build a field from its JSON, where the two differ."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """Fields that are left out while they have their default."""

    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` is the inverse."""
        tree: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            left_out = field.name in self.optional and value == field.default
            if field.name != "extra" and not left_out:
                tree[field.name] = _json(value)
        return {**tree, **self.extra}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """Build the object from what `to_json` returned.

        Raises:
            TypeError: a key is missing that every release writes.
            ValueError: a value is not one of those its field can take.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"extra"}
        known = {key: value for key, value in tree.items() if key in names}
        for name, parse in cls.parsers.items():
            if known.get(name) is not None:
                known[name] = parse(known[name])
        extra = {key: value for key, value in tree.items() if key not in {*names, "record"}}
        return cls(**known, extra=extra)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record(RecordPart):
    """One line of the ledger; its first key, `record`, names the kind."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the line as plain data; `record_from_json` is the inverse."""
        return {"record": self.kind, **RecordPart.to_json(self)}


def _json(value: Any) -> Any:
    if isinstance(value, RecordPart):
        return value.to_json()
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return plain(value)
