"""Candidates as torch modules: built-in families with every gate, plugins, and any model of timm.

Importing this package registers the presets with timm.
"""

from __future__ import annotations

from gmsearch.models import presets as presets
from gmsearch.models.checkpoint import load_checkpoint
from gmsearch.models.families import build
from gmsearch.models.gmnet import GmNet
from gmsearch.models.mobilenetv2 import MobileNetV2
from gmsearch.models.regimes import activation_regimes
from gmsearch.models.resnet18 import ResNet18

__all__ = [
    "GmNet",
    "MobileNetV2",
    "ResNet18",
    "activation_regimes",
    "build",
    "load_checkpoint",
]
