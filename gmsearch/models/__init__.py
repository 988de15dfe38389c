"""Candidates as torch modules: our families with every gate, and any model of timm.

Importing this package registers the presets with timm.
"""

from __future__ import annotations

import difflib

import timm
import torch
from torch import nn

from gmsearch.errors import FieldError
from gmsearch.models import presets as presets
from gmsearch.models.checkpoint import load_checkpoint
from gmsearch.models.gmnet import GmNet
from gmsearch.models.mobilenetv2 import MobileNetV2
from gmsearch.models.regimes import activation_regimes
from gmsearch.models.resnet18 import ResNet18
from gmsearch.networks import Candidate, TimmSpec
from gmsearch.networks import GmNetSpec as GmNetCandidate
from gmsearch.networks import ResNet18Spec as ResNet18Candidate

__all__ = [
    "GmNet",
    "MobileNetV2",
    "ResNet18",
    "activation_regimes",
    "build",
    "load_checkpoint",
]


def build(candidate: Candidate, *, num_classes: int, in_chans: int = 3, seed: int) -> nn.Module:
    """Return the network of a candidate, in training mode, on the CPU, without trained weights.

    The weights follow from the seed alone; the global generator is left as it was. Those of our
    families are drawn per tensor from the seed and the parameter's name, those of a timm model in
    timm's order from a generator with that seed.

    Args:
        candidate: What to build.

        num_classes: Outputs of the head.

        in_chans: Channels of the images.

        seed: Of the trial.

    Raises:
        FieldError: for a name timm does not know, or a `drop_path_rate` its model does not take.
    """
    with torch.random.fork_rng(devices=[]):
        if isinstance(candidate, TimmSpec):
            torch.default_generator.manual_seed(seed)
            return _timm_model(candidate, num_classes, in_chans)
        if isinstance(candidate, GmNetCandidate):
            return GmNet(candidate, seed=seed, num_classes=num_classes, in_chans=in_chans)
        if isinstance(candidate, ResNet18Candidate):
            return ResNet18(candidate, seed=seed, num_classes=num_classes, in_chans=in_chans)
        return MobileNetV2(candidate, seed=seed, num_classes=num_classes, in_chans=in_chans)


def _timm_model(candidate: TimmSpec, num_classes: int, in_chans: int) -> nn.Module:
    name = candidate.name
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise FieldError("name", f"{name!r} is no model of timm {timm.__version__}; {hint}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise FieldError("name", f"{name!r}: {error} Leave the part after the dot out.") from None
    drop_path_rate = candidate.drop_path_rate or None  # timm drops what is None
    try:
        model: nn.Module = timm.create_model(
            name, num_classes=num_classes, in_chans=in_chans, drop_path_rate=drop_path_rate
        )
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        raise FieldError("drop_path_rate", f"{name} of timm has none; leave it out") from None
    return model
