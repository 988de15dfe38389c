"""The mistakes of one space file, collected so that all of them are reported at once."""

from __future__ import annotations

from typing import NoReturn

from gmsearch.errors import Mistake, SpaceError

Position = tuple[int, int]
"""Line and column, from 1."""


class Mistakes:
    """Collects the mistakes of one file."""

    def __init__(self, file: str) -> None:
        """Start without mistakes; `file` is the name of the file in messages."""
        self._file = file
        self._mistakes: dict[Mistake, None] = {}

    def add(self, position: Position, message: str) -> None:
        """Record one mistake; the same mistake again (through a YAML alias) is reported once."""
        self._mistakes[Mistake(self._file, *position, message)] = None

    def __len__(self) -> int:
        """Return the number of mistakes so far."""
        return len(self._mistakes)

    def fatal(self, position: Position, message: str) -> NoReturn:
        """Raise SpaceError with this mistake, after which nothing more can be read."""
        self.add(position, message)
        raise SpaceError(list(self._mistakes))

    def raise_any(self) -> None:
        """Raise SpaceError with every mistake, if there is one."""
        if self._mistakes:
            raise SpaceError(list(self._mistakes))
