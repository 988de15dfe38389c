"""Tables of everything that is chosen by name, one row per name.

A failed lookup lists the valid names, and an existing name is never replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gmsearch.errors import FieldError

Row = TypeVar("Row")


class Table(dict[str, Row]):
    """Rows by name; plugins add theirs with `register`, and annotations read the table live."""

    def __init__(self, kind: str, rows: Mapping[str, Row]) -> None:
        """Keep the rows; `kind` is what a row is called in messages, such as `activation`."""
        super().__init__(rows)
        self.kind = kind

    def __missing__(self, name: str) -> Row:
        """Raise FieldError, which lists the valid names."""
        raise FieldError(self.kind, f"expected one of {', '.join(self)}, got {name!r}")

    def register(self, name: str, row: Row) -> None:
        """Add a row under a new name.

        Raises:
            FieldError: where the table has the name already.
        """
        if name in self:
            raise FieldError(self.kind, f"{name!r} exists already; choose another name")
        self[name] = row
