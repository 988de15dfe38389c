"""How the frozen dataclasses check and build themselves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gmsearch.errors import FieldError


def require(condition: bool, path: str, message: str) -> None:  # noqa: FBT001 - reads so
    """Raise FieldError unless `condition` holds; `message` goes on where `path` ends."""
    if not condition:
        raise FieldError(path, message)


def one_of(value: object, names: Sequence[str], path: str) -> None:
    """Raise FieldError unless `value` is one of `names`."""
    require(value in names, path, f"{value!r} is not one of {', '.join(names)}")


def is_int(value: object) -> bool:
    """Return whether `value` is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether `value` is a finite number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def assign(frozen: object, **values: object) -> None:
    """Set fields of a frozen dataclass that is being constructed."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def build(cls: type[Any], tree: Mapping[str, Any]) -> Any:
    """Return an instance of a dataclass from plain data; FieldError names what does not fit."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in tree:
        require(key in fields, key, f"is not a field of {cls.__name__}")
    for name, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        require(name in tree or not needed, name, "is missing")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()})
