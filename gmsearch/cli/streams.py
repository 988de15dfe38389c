"""The standard streams of a command: whoever writes to them, nothing steers the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

from gmsearch.printable import visible, visible_lines


class VisibleStream:
    """A text stream that shows what would steer a terminal; `raw` obeys it, for our own styles.

    What is not about writing text is the raw stream's.
    """

    def __init__(self, raw: TextIO) -> None:
        """Write to `raw`."""
        self.raw = raw

    def write(self, text: str) -> int:
        """Write a text visibly; return its length."""
        self.raw.write(visible_lines(text))
        return len(text)

    def writelines(self, texts: list[str]) -> None:
        """Write texts one after another."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the raw stream."""
        return getattr(self.raw, name)


class LineStream:
    """A text stream that passes on whole lines, to print them above what is drawn."""

    def __init__(self, raw: TextIO, say: Callable[[str], None]) -> None:
        """Pass lines to `say`; what is not about writing text is the stream's of before."""
        self._raw = raw
        self._say = say
        self._begun = ""

    def write(self, text: str) -> int:
        """Pass on the lines that are complete; return the length of the text."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: a line is passed on when it is complete."""

    def close_line(self) -> None:
        """Pass on a last line without an end."""
        if self._begun:
            self.write("\n")

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the stream of before."""
        return getattr(self._raw, name)


@contextlib.contextmanager
def visible_streams() -> Iterator[None]:
    """Show what would steer a terminal on stdout and stderr, and signs it lacks as `?`."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of downloads would be drawn all the same
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = (s and cast("TextIO", VisibleStream(s)) for s in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextlib.contextmanager
def lines_to(say: Callable[[str], None]) -> Iterator[None]:
    """Pass lines written to stdout and stderr to `say`, where they go to a terminal."""
    before = sys.stdout, sys.stderr
    streams = [LineStream(s, say) if s and s.isatty() else s for s in before]
    sys.stdout, sys.stderr = (cast("TextIO", stream) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in streams:
            if isinstance(stream, LineStream):
                stream.close_line()


def say(text: str) -> None:
    """Print one line of a message to stderr."""
    if sys.stderr:  # Python has none where it was closed
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()
