"""Networks as frozen plain data, without torch.

Constructing a spec checks it and brings it to canonical form: defaults filled in, equal
spellings merged, parameters that affect no block reset to their default. Equal networks have
equal digests.
"""

from __future__ import annotations

from gmsearch.networks.families import FAMILIES, Candidate, OwnNetwork, TimmSpec, candidate_from
from gmsearch.networks.gate import (
    ACTIVATIONS,
    PLACEMENTS,
    PRODUCTS,
    Activation,
    Gate,
    Placement,
    Product,
)
from gmsearch.networks.gmnet import GmNetSpec
from gmsearch.networks.mobilenetv2 import MobileNetV2Spec
from gmsearch.networks.presets import PRESETS, PUBLISHED, Published, preset_family
from gmsearch.networks.resnet18 import ResNet18Spec

__all__ = [
    "ACTIVATIONS",
    "FAMILIES",
    "PLACEMENTS",
    "PRESETS",
    "PRODUCTS",
    "PUBLISHED",
    "Activation",
    "Candidate",
    "Gate",
    "GmNetSpec",
    "MobileNetV2Spec",
    "OwnNetwork",
    "Placement",
    "Product",
    "Published",
    "ResNet18Spec",
    "TimmSpec",
    "candidate_from",
    "preset_family",
]
