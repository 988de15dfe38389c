"""Annotations that limit the values of a dataclass field; pydantic reads them as well."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any

MAX_SEED = 2**32 - 1
"""The largest seed that every generator in use accepts."""

_BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """Bounds of a number; `odd` restricts an integer to odd values, which pydantic cannot."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    odd: bool = False

    def admits(self, value: float) -> bool:
        """Return whether a number lies within the bounds."""
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
            and (not self.odd or value % 2 == 1)
        )

    def __str__(self) -> str:
        """Return the bounds in words, such as `from 0 below 1`."""
        bounds = ((word, getattr(self, name)) for name, word in _BOUNDS.items())
        return " ".join(f"{word} {bound:.10g}" for word, bound in bounds if bound is not None)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema of `source` with these bounds; pydantic calls this by name."""
        schema = handler(source)
        bounds = {name: getattr(self, name) for name in _BOUNDS}
        schema.update({name: bound for name, bound in bounds.items() if bound is not None})
        return schema


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A pattern that a word must match as a whole, and its description."""

    pattern: str
    words: str
    """Completes `expected`, such as `the path of a folder`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema of `source` with this pattern."""
        schema = handler(source)
        schema["pattern"] = f"^({self.pattern})$"
        return schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the JSON Schema, described in words."""
        return {**handler(schema), "description": self.words}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A word that must be a key of a table; the table may grow after the annotation is made."""

    table: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema, which reads the table at every check."""
        return {"type": "function-plain", "function": {"type": "no-info", "function": self._key}}

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Callable[[Any], Any]) -> Any:
        """Return the JSON Schema of the keys that the table has now."""
        return {"type": "string", "enum": list(self.table)}

    def _key(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.table:
            message = f"expected one of {', '.join(self.table)}"
            raise ValueError(message)
        return value


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """The fewest items of a tuple."""

    least: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return pydantic's schema of `source` with this length."""
        schema = handler(source)
        schema["min_length"] = self.least
        return schema


Positive = Annotated[int, Limit(ge=1)]
Natural = Annotated[int, Limit(ge=0)]
OddKernel = Annotated[int, Limit(ge=1, odd=True)]
PositiveNumber = Annotated[float, Limit(gt=0)]
NonNegative = Annotated[float, Limit(ge=0)]
Share = Annotated[float, Limit(ge=0, lt=1)]
"""A number from 0 below 1."""
Probability = Annotated[float, Limit(ge=0, le=1)]
Seed = Annotated[int, Limit(ge=0, le=MAX_SEED)]
