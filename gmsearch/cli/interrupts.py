"""How a command ends when it is interrupted."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from gmsearch.printable import visible

INTERRUPTED = 130
"""Exit code of an interrupted command, as shells report SIGINT."""

_RESUMES = ("run", "measure")
"""Commands that save what finished, and go on from it."""


class _Interrupt(KeyboardInterrupt):
    """An interrupt that Python does not remember.

    One of the class KeyboardInterrupt itself that passes a text being executed, as dataclasses
    do when they are made, lets Python end by the signal, whatever exit code was given since.
    """


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP too; say how to go on, and exit with 130.

    An ignored signal stays ignored, as `nohup` expects. At the end all are ignored: the process
    is about to end with the exit code it has. An error that an interrupt was turned into, as
    Python does while a class is made, counts as the interrupt.
    """
    interrupted = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise _Interrupt

    try:
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, interrupt)
            yield
        finally:
            _ignore_all()
    except (KeyboardInterrupt, Exception) as error:
        if not interrupted and not isinstance(error, KeyboardInterrupt):
            raise
        _ignore_all()  # again, since a second one may have come while it did
        _announce()
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _announce()
        raise


def _ignore_all() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _announce() -> None:
    words = "Interrupted."
    if sys.argv[1:2] and sys.argv[1] in _RESUMES:
        command = visible(shlex.join(["gmsearch", *sys.argv[1:]]))
        words += f" What finished is saved. Resume with:\n  {command}"
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{words}\n")
