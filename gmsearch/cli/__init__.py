"""The command line; see `app` for the commands.

An interrupt ends a command with exit code 130 from its first import to its last line.
"""

from __future__ import annotations

from gmsearch.cli.interrupts import interruptible
from gmsearch.cli.streams import visible_streams

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the process."""
    with interruptible(), visible_streams():
        from gmsearch.cli.app import main as run_command

        run_command()
