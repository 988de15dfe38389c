"""The console of every command: it styles our words, and shows those of others as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import IO, Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from gmsearch.cli.streams import VisibleStream
from gmsearch.printable import visible, visible_lines


class Console(rich.console.Console):  # noqa: TID251 - the one that the others print on
    r"""A console on which text of others is text.

    A string is one line and has neither markup nor emoji codes; its control characters are shown,
    as `\x1b`. The newlines of a `Text` are meant.
    """

    def __init__(self, **options: Any) -> None:
        """Take the options of rich's console."""
        super().__init__(**{"markup": False, "emoji": False, **options})

    @property
    def file(self) -> IO[str]:
        """The stream that obeys our styles."""
        file = super().file
        return file.raw if isinstance(file, VisibleStream) else file

    @file.setter
    def file(self, new: IO[str]) -> None:
        """Write to another stream."""
        self._file = new

    @property
    def redraws(self) -> bool:
        """Whether it is a terminal that moves its cursor, whatever colours are asked for."""
        moves = os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
        return moves and self.is_terminal and self.file.isatty()

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string, as one line."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything; texts are shown, not obeyed."""
        if isinstance(renderable, Text) and visible_lines(renderable.plain) != renderable.plain:
            shown = visible_lines(renderable.plain)
            renderable = Text(shown, style=renderable.style, no_wrap=renderable.no_wrap)
        return super().render(renderable, options)

    def say(self, text: str) -> None:
        """Print one line, however long."""
        self.print(Text(visible(text)), soft_wrap=True, highlight=False)
