"""A space: the candidates a study may train, and how they are searched.

Nothing here reads a file, builds a network or computes its cost.
"""

from __future__ import annotations

from gmsearch.space.changes import Change
from gmsearch.space.domains import Choice, Domain, Float, Int, Parameter
from gmsearch.space.methods import METHODS, Method
from gmsearch.space.sampling import ArmDrawer, SeenArms, draw_value
from gmsearch.space.settings import Match, Resources, Search, Tune
from gmsearch.space.space import Space

__all__ = [
    "METHODS",
    "ArmDrawer",
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
    "SeenArms",
    "Space",
    "Tune",
    "draw_value",
]
