"""`python -m gmsearch` is the command `gmsearch`."""

from __future__ import annotations

from gmsearch.cli import main

main()
