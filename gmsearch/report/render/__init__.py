"""Tables and notes in one format a file; everything is escaped."""

from __future__ import annotations
