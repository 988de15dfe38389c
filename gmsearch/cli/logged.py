"""Prints what is logged, one line each."""

from __future__ import annotations

import logging

from gmsearch.cli.streams import say


class Messages(logging.Handler):
    """Prints what is logged to what is stderr at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record."""
        say(f"gmsearch: {record.getMessage()}")


def show_warnings() -> None:
    """Print the warnings that are logged from now on."""
    logging.basicConfig(handlers=[Messages()], level=logging.WARNING)
