"""Run the command `gmsearch` as `python -m gmsearch`."""

from __future__ import annotations

from gmsearch.cli import main

main()
