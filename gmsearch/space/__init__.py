"""The space file: YAML in, frozen dataclasses out, or all of its mistakes at once.

Nothing here builds a network, counts its cost or proposes what to train next.
"""

from __future__ import annotations

from gmsearch.space.changes import Change
from gmsearch.space.domains import Choice, Domain, Float, Int, Parameter
from gmsearch.space.load import load_space
from gmsearch.space.schema import json_schema
from gmsearch.space.settings import METHODS, Match, Method, Resources, Search, Tune
from gmsearch.space.space import Space

__all__ = [
    "METHODS",
    "Change",
    "Choice",
    "Domain",
    "Float",
    "Int",
    "Match",
    "Method",
    "Parameter",
    "Resources",
    "Search",
    "Space",
    "Tune",
    "json_schema",
    "load_space",
]
