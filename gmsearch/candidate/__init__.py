"""Candidate, recipe, arm, data and bands as frozen plain data with digests.

A candidate is complete plain data, never a torch module. Constructing one checks it and brings
it to its canonical form: defaults written out, equal spellings made one, parameters that touch
no block set to their default. Equal canonical forms have equal digests.
"""

from __future__ import annotations

from gmsearch.candidate.arms import Arm, Recipe, arm_from, recipe_from
from gmsearch.candidate.canonical import canonical_json, difference, digest, plain
from gmsearch.candidate.data import (
    DataSpec,
    Spectral,
    Stored,
    Streamed,
    data_from,
    require_applicable,
)
from gmsearch.candidate.measured import Bands, bands_from
from gmsearch.candidate.networks import (
    ACTIVATIONS,
    FAMILIES,
    PLACEMENTS,
    PRESETS,
    PRODUCTS,
    Activation,
    Candidate,
    Gate,
    GmNet,
    Placement,
    Product,
    TimmModel,
    candidate_from,
)

__all__ = [
    "ACTIVATIONS",
    "FAMILIES",
    "PLACEMENTS",
    "PRESETS",
    "PRODUCTS",
    "Activation",
    "Arm",
    "Bands",
    "Candidate",
    "DataSpec",
    "Gate",
    "GmNet",
    "Placement",
    "Product",
    "Recipe",
    "Spectral",
    "Stored",
    "Streamed",
    "TimmModel",
    "arm_from",
    "bands_from",
    "candidate_from",
    "canonical_json",
    "data_from",
    "difference",
    "digest",
    "plain",
    "recipe_from",
    "require_applicable",
]
