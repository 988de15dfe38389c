"""Plain data: canonical JSON, digests and differences."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

Value = str | int | float | bool | None | tuple[Any, ...]
"""A value of one parameter of a space; a choice of subtrees is named by its label."""
Assignment = Mapping[str, Value]
"""Parameter path -> value, active parameters only, in the order of the space file."""


def canonical_json(value: object) -> str:
    """Return the canonical JSON of plain data: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


_LEAVES = frozenset((str, int, float, bool, type(None)))


def plain(value: Any) -> Any:
    """Return dataclasses as dicts and tuples as lists, ready for JSON.

    A dataclass with a method `plain_fields` is represented by the mapping that it returns.
    """
    if type(value) in _LEAVES:  # nearly all there is, and the rest costs a microsecond to rule out
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if (fields := getattr(value, "plain_fields", None)) is not None:
            return plain(fields())
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def difference(one: object, other: object) -> dict[str, tuple[Any, Any]]:
    """Return the leaves in which two candidates, recipes or arms differ, by dotted path.

    A list is a leaf. A leaf that only one side has is paired with None.
    """
    left, right = _leaves(plain(one)), _leaves(plain(other))
    return {
        path: (left.get(path), right.get(path))
        for path in [*left, *(p for p in right if p not in left)]
        if left.get(path) != right.get(path)
    }


def _leaves(tree: object, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def frozen(value: Any) -> Any:
    """Return plain data with its lists made tuples."""
    if isinstance(value, Mapping):
        return {str(key): frozen(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)
    return value
