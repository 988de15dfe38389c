"""A space: the candidates a study may train, and how they are searched.

Nothing here reads a file, builds a network or counts its cost.
"""

from __future__ import annotations

from gmsearch.space.changes import Change
from gmsearch.space.domains import Choice, Domain, Float, Int, Parameter
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
]
