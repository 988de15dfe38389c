"""The families in torch: one row each, and how any candidate is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gmsearch.limits import require
from gmsearch.models.gmnet import GmNet
from gmsearch.models.mobilenetv2 import MobileNetV2
from gmsearch.models.resnet18 import ResNet18
from gmsearch.models.timm import timm_model
from gmsearch.networks import FAMILIES, Candidate
from gmsearch.tables import Table


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimmRow:
    """What timm must know about a family to build its presets."""

    module: Callable[..., nn.Module]
    first_conv: str
    """Name of the first convolution."""
    classifier: str
    """Name of the linear head."""
    maps: int
    """Number of feature maps that can be taken out."""
    flatten_sequential: bool = True
    """Whether the maps are inside `nn.Sequential`s."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NetworkRow:
    """A family of networks in torch."""

    build: Callable[[Any, int, int, int, int | None], nn.Module]
    """Constructor from a candidate, the number of classes, the input channels, the seed, and the
    side of the images where it is known; the global generator of torch is seeded as well."""
    timm: TimmRow | None = None
    """How timm builds its presets; None without presets."""


def _built_in(timm: TimmRow) -> NetworkRow:
    def build(
        candidate: Any, num_classes: int, in_chans: int, seed: int, _resolution: int | None
    ) -> nn.Module:
        return timm.module(candidate, seed=seed, num_classes=num_classes, in_chans=in_chans)

    return NetworkRow(build=build, timm=timm)


NETWORKS = Table(
    "family",
    {
        "gmnet": _built_in(
            TimmRow(module=GmNet, first_conv="stem.0.conv", classifier="head", maps=4)
        ),
        "resnet18": _built_in(
            TimmRow(
                module=ResNet18,
                first_conv="conv1",
                classifier="fc",
                maps=5,
                flatten_sequential=False,
            )
        ),
        "mobilenetv2": _built_in(
            TimmRow(module=MobileNetV2, first_conv="conv_stem", classifier="classifier", maps=5)
        ),
        "timm": NetworkRow(build=timm_model),
    },
)
"""The built-in families in torch; their rows without torch are in `gmsearch.networks.families`."""


def build(
    candidate: Candidate,
    *,
    num_classes: int,
    in_chans: int = 3,
    seed: int,
    resolution: int | None = None,
) -> nn.Module:
    """Return the network of a candidate, in training mode, on the CPU, without trained weights.

    The weights follow from the seed alone; the global generator is left as it was. Those of our
    families are drawn per tensor from the seed and the parameter's name, those of a model of timm
    or of a plugin in its own order from torch's generator with that seed.

    Args:
        candidate: The architecture.

        num_classes: Outputs of the head.

        in_chans: Channels of the images.

        seed: Seed of the trial.

        resolution: Height and width of the images, which only a model of timm that is made for
            one size needs to know.

    Raises:
        FieldError: for a name timm does not know, a `drop_path_rate` that its model does not
            take, and input channels other than 3 for a plugin's family.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        plugin = FAMILIES[candidate.family].build
        if plugin is None:
            row = NETWORKS[candidate.family]
            return row.build(candidate, num_classes, in_chans, seed, resolution)
        require(in_chans == 3, "in_chans", f"expected 3 input channels, got {in_chans}")
        model: nn.Module = plugin(candidate, num_classes)
        return model
