"""A plugin as stored in plans and records."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PluginFile:
    """The name and the identity of one plugin."""

    reference: str
    """Name of the file or package, such as `my_gates.py` or `my_package`."""

    sha256: str
    """Hexadecimal SHA-256 of the file; of several files, of their names and digests."""
