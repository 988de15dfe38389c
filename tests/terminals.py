"""Runs the command line on a pseudo terminal, for the tests of several parts."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios


def run_in_terminal(*arguments: str, columns: int = 80, term: str = "xterm") -> tuple[str, int]:
    """Run a command on a terminal of 24 lines; return what it wrote there, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    ignored = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE")
    environment = {name: value for name, value in os.environ.items() if name not in ignored}
    process = subprocess.Popen(
        [sys.executable, "-m", "gmsearch", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": term, "PYTHONIOENCODING": "utf-8"},
    )
    os.close(theirs)
    written = b""
    try:
        while part := _read(ours):
            written += part
    finally:
        os.close(ours)
        process.wait(timeout=60)
    return written.decode(errors="replace"), process.returncode


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # as Linux ends a terminal
        return b""
