"""The log of a study for people: what every start said, with date and time."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gmsearch.printable import visible

RUN_LOG = "run.log"
"""Name of the file in a study's folder."""


class RunLog:
    """Appends lines to the log of a study.

    A study is worth more than its log: a file that cannot be written is named once, and the run
    goes on. Lines are kept until the log is opened: a start with nothing to do writes none.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        """Name a file that cannot be written with `complain`."""
        self._complain = complain
        self._waiting: list[str] | None = []
        self._path: Path | None = None
        self._file: int | None = None

    def open(self, folder: Path) -> None:
        """Write to the log of the study in `folder`, first what was kept."""
        if self._path is not None:
            return
        self._path = folder / RUN_LOG
        # Not through a link, nor waiting for the reader of a pipe.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        lines, self._waiting = self._waiting or [], None
        try:
            self._file = os.open(self._path, flags, 0o666)
        except OSError as error:
            self._give_up(error)
        for line in lines:
            self._append(line)

    def write(self, text: str) -> None:
        """Append a line."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        line = f"{now} {visible(text)}\n"
        if self._waiting is not None:
            self._waiting.append(line)
        else:
            self._append(line)

    def close(self) -> None:
        """Close the file; what is written later is lost."""
        self._waiting = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        try:
            os.write(self._file, line.encode())
        except OSError as error:
            self.close()
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._complain(f"{self._path}: cannot be written: {error.strerror}; the run goes on")
