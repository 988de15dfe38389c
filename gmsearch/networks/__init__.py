"""Networks as frozen plain data, without torch.

Constructing a spec checks it and brings it to canonical form: defaults filled in, equal
spellings merged, parameters that affect no block reset to their default. Equal networks have
equal digests.
"""

from __future__ import annotations

from gmsearch.networks.candidate import (
    FAMILIES,
    Candidate,
    FamilyRow,
    candidate_identity,
    plugin_sources,
)
from gmsearch.networks.cost import cost, is_counted
from gmsearch.networks.count import Cost
from gmsearch.networks.families import PLACEMENTS, adopted, candidate_from
from gmsearch.networks.gate import ACTIVATIONS, PRODUCTS, ActivationRow, Gate, ProductRow, Site
from gmsearch.networks.gmnet import GmNetSpec
from gmsearch.networks.mobilenetv2 import MobileNetV2Spec
from gmsearch.networks.presets import PRESETS, PUBLISHED, Published, preset_family
from gmsearch.networks.resnet18 import ResNet18Spec
from gmsearch.networks.timm import TimmSpec

__all__ = [
    "ACTIVATIONS",
    "FAMILIES",
    "PLACEMENTS",
    "PRESETS",
    "PRODUCTS",
    "PUBLISHED",
    "ActivationRow",
    "Candidate",
    "Cost",
    "FamilyRow",
    "Gate",
    "GmNetSpec",
    "MobileNetV2Spec",
    "ProductRow",
    "Published",
    "ResNet18Spec",
    "Site",
    "TimmSpec",
    "adopted",
    "candidate_from",
    "candidate_identity",
    "cost",
    "is_counted",
    "plugin_sources",
    "preset_family",
]
