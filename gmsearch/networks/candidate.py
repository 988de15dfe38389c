"""Candidates of any family: the interface, the rows of the families, the identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gmsearch.networks.count import PartCost
from gmsearch.networks.gate import ActivationRow, Gate, ProductRow
from gmsearch.plain import digest, plain
from gmsearch.tables import Table


class Candidate(Protocol):
    """One architecture: an instance of the frozen dataclass of a row of FAMILIES."""

    @property
    def family(self) -> str:
        """The name of its row."""

    @property
    def digest(self) -> str:
        """The hash of its identity; equal networks have equal digests."""

    def kernel_warnings(self, resolution: int) -> list[str]:
        """Return a line for every kernel that is larger than the map it works on."""

    def __hash__(self) -> int:
        """Return the hash of its fields."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FamilyRow:
    """A family of networks without torch."""

    spec: type[Any]
    """Frozen dataclass of its candidates."""
    text: str
    parts: Callable[[Any, int, int, int], Sequence[PartCost]] | None
    """Costs of stem, stages and head, from a candidate, the number of classes, the resolution in
    pixels and the input channels; None where the cost is measured."""
    places: tuple[str, ...] = ()
    """Places of a gate in its blocks, in the order of the block."""
    build: Callable[[Any, int], Any] | None = None
    """Constructor of a plugin's torch module from a candidate and the number of classes; None for
    built-in families, which are in `gmsearch.models.families`."""
    source: str | None = None
    """SHA-256 of the plugin file that defines it; None if it is built in."""


FAMILIES: Table[FamilyRow] = Table("family", {})
"""The families by name; the built-in ones are in `gmsearch.networks.families`."""


def candidate_identity(network: Any) -> dict[str, Any]:
    """Return the plain data that the digest of a candidate is computed from.

    It is the canonical form; where a candidate uses parts of plugins, `plugins` has their names
    and the SHA-256 of the files that define them.
    """
    tree: dict[str, Any] = plain(network)
    sources = plugin_sources(network)
    return {**tree, "plugins": sources} if sources else tree


def network_digest(network: Any) -> str:
    """Return the hash of a candidate's identity."""
    return digest(candidate_identity(network))


def plugin_sources(network: Any) -> dict[str, str]:
    """Return the SHA-256 of the file that defines each part of a plugin in a candidate.

    The keys are `family:NAME`, `activation:NAME` and `product:NAME`.
    """
    rows = {f"family:{network.family}": FAMILIES[network.family], **gate_rows(network)}
    return {name: row.source for name, row in rows.items() if row.source is not None}


def gate_rows(network: Any) -> dict[str, ActivationRow | ProductRow]:
    """Return the rows of the gates of a candidate as `activation:NAME` and `product:NAME`."""
    values = (getattr(network, field.name) for field in dataclasses.fields(network))
    return {name: row for value in values if isinstance(value, Gate) for name, row in value.rows()}
