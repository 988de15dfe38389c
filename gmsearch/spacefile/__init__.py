"""Read a space file: YAML in, a `Space` out, or all of its mistakes at once."""

from __future__ import annotations

from gmsearch.spacefile.load import load_space
from gmsearch.spacefile.schema import json_schema

__all__ = ["json_schema", "load_space"]
