"""The command line; see `app` for the commands."""

from __future__ import annotations

from gmsearch.cli.app import main

__all__ = ["main"]
