"""Differences between two spaces, and whether a study may resume with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmsearch.plain import difference
from gmsearch.wording import spelled

_ALLOWED = (
    "plugins",  # one that changed is refused where it is compared, by its digest
    "forbid",
    "objectives",
    "constraints",
    "bands",
    "search.candidates",
    "search.seeds",
    "search.max_failed",
    "resources",
    "train.checkpoint_every",
)
"""Sections that may change: they are judged from the records, measured from saved weights, or add
trials. Any other change would mix records that do not belong to one study, or leave a sampler that
cannot be replayed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One difference between the space a study began with and the space it is resumed with."""

    path: str
    """As in the file, such as `search.seeds` or `model.gate.product.choice`."""
    old: Any
    """Plain data; None where the path did not exist."""
    new: Any
    allowed: bool
    """Whether the study may resume; otherwise the remedy is another name for the study."""

    def __str__(self) -> str:
        """Return the change, and the remedy where it is refused."""
        text = f"{self.path}: {_plain_text(self.old)} -> {_plain_text(self.new)}"
        return text if self.allowed else f"{text}: give the changed space another `study` name"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the named differences between the meanings of two spaces."""
    return [
        Change(path=path, old=before, new=after, allowed=_allowed(path, before, after))
        for path, (before, after) in difference(old, new).items()
    ]


def _allowed(path: str, old: Any, new: Any) -> bool:
    if path == "search.seeds":
        # Trials of a seed that was dropped would stay in the ledger, and in every table.
        return set(old) <= set(new)
    return any(path == name or path.startswith(f"{name}.") for name in _ALLOWED)


def _plain_text(value: Any) -> str:
    return "absent" if value is None else spelled(value)
