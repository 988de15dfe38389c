"""Candidate, recipe, arm, data and bands as frozen plain data with digests.

A candidate is complete plain data, never a torch module. Constructing one checks it and brings
it to its canonical form: defaults written out, equal spellings made one, parameters that touch
no block set to their default. Equal canonical forms have equal digests.
"""

from __future__ import annotations

from gmsearch.candidate.arms import RECIPES, Arm, Recipe, arm_from, recipe_from
from gmsearch.candidate.canonical import canonical_json, difference, digest, plain
from gmsearch.candidate.data import (
    DataSpec,
    Spectral,
    Stored,
    Streamed,
    data_from,
    require_applicable,
)
from gmsearch.candidate.gate import (
    ACTIVATIONS,
    PLACEMENTS,
    PRODUCTS,
    Activation,
    Gate,
    Placement,
    Product,
)
from gmsearch.candidate.gmnet import GmNet
from gmsearch.candidate.measured import Bands, bands_from
from gmsearch.candidate.mobilenetv2 import MobileNetV2
from gmsearch.candidate.networks import (
    FAMILIES,
    Candidate,
    OwnNetwork,
    TimmModel,
    candidate_from,
)
from gmsearch.candidate.presets import PRESETS, PUBLISHED, Published, preset_family
from gmsearch.candidate.resnet18 import ResNet18
from gmsearch.candidate.timed import (
    MODES,
    TIMED_DTYPES,
    TIMED_METRICS,
    TIMED_NAME,
    Condition,
    Mode,
    TimedDtype,
    timed,
)

__all__ = [
    "ACTIVATIONS",
    "FAMILIES",
    "MODES",
    "PLACEMENTS",
    "PRESETS",
    "PRODUCTS",
    "PUBLISHED",
    "RECIPES",
    "TIMED_DTYPES",
    "TIMED_METRICS",
    "TIMED_NAME",
    "Activation",
    "Arm",
    "Bands",
    "Candidate",
    "Condition",
    "DataSpec",
    "Gate",
    "GmNet",
    "MobileNetV2",
    "Mode",
    "OwnNetwork",
    "Placement",
    "Product",
    "Published",
    "Recipe",
    "ResNet18",
    "Spectral",
    "Stored",
    "Streamed",
    "TimedDtype",
    "TimmModel",
    "arm_from",
    "bands_from",
    "candidate_from",
    "canonical_json",
    "data_from",
    "difference",
    "digest",
    "plain",
    "preset_family",
    "recipe_from",
    "require_applicable",
    "timed",
]
