"""The presets as models of timm: `timm.create_model("gmnet_s3")` after this import.

Importing this module registers them. No trained weights come with them.
`gmsearch.networks.presets` states which presets are published and which are inferred.

The gated ResNet-18s differ from those of a study in one thing, which is our choice and of which
the paper says nothing: the running variance after a product starts at 1000, not at 1. An untrained
`res18_ewp` in eval mode squares its map eight times and ends at NaN otherwise. Weights, names and
training mode are the same, and after 130 batches of training the start weighs 0.001. A study keeps
1: it evaluates short trainings too, whose numbers would change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from gmsearch.models.families import NETWORKS, TimmRow
from gmsearch.networks import PRESETS, candidate_from, preset_family

_TEXTS = {
    "gmnet_s1": "GmNet-S1, inferred: it matches the published 3.7 M and 0.6 G; others would too.",
    "gmnet_s2": "GmNet-S2, inferred: it matches the published 6.2 M and 0.9 G; others would too.",
    "gmnet_s3": "GmNet-S3 as released: 7,791,544 parameters, 1,241,744,512 fvcore flops at 224.",
    "gmnet_s4": "GmNet-S4, inferred: it matches the published 17.0 M and 2.7 G; others would too.",
    "res18": "ResNet-18.",
    "res18_ewp": "ResNet-18 with h * h at its inner activation; the paper's place is not public.",
    "res18_gate_relu6": "ResNet-18 with relu6(h) * h at its inner activation; our choice.",
    "res18_gate_gelu": "ResNet-18 with gelu(h) * h at its inner activation; our choice.",
    "mobilenetv2": "MobileNetV2 of width 1.",
    "mobilenetv2_ewp": "MobileNetV2 with h * h after the expansion; the paper's is not public.",
    "mobilenetv2_gate_relu6": "MobileNetV2 with relu6(h) * h after the expansion; our choice.",
    "mobilenetv2_gate_gelu": "MobileNetV2 with gelu(h) * h after the expansion; our choice.",
}


_PRODUCT_VARIANCE = 1000.0
"""With it a block adds less than its input to maps of second moments up to 6^2."""


def _timm_row(name: str) -> TimmRow:
    row = NETWORKS[preset_family(name)].timm
    assert row is not None, f"{name} is a preset of a family that timm cannot build"
    return row


default_cfgs = generate_default_cfgs(
    {
        f"{name}.untrained": {
            "num_classes": 1000,
            "input_size": (3, 224, 224),
            "pool_size": (7, 7),
            "crop_pct": 0.875,
            "interpolation": "bicubic",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": _timm_row(name).first_conv,
            "classifier": _timm_row(name).classifier,
            "paper_ids": "arXiv:2503.22841",
        }
        for name in PRESETS
    }
)


def _register_preset(name: str) -> Callable[..., nn.Module]:
    """Register a preset with timm under its name, and return the function that builds it."""

    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
        return _preset(name, pretrained, kwargs)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = _TEXTS[name]
    function: Callable[..., nn.Module] = register_model(create)
    return function


globals().update({name: _register_preset(name) for name in PRESETS})


def _preset(name: str, pretrained: bool, kwargs: dict[str, Any]) -> nn.Module:  # noqa: FBT001 - passed on
    """Build a preset with timm's arguments, its weights seeded from torch's global generator."""
    drop_path_rate = kwargs.pop("drop_path_rate", 0.0)
    row = _timm_row(name)
    if preset_family(name) == "resnet18":
        kwargs.setdefault("product_variance", _PRODUCT_VARIANCE)
    model: nn.Module = build_model_with_cfg(
        row.module,
        name,
        pretrained,
        feature_cfg={
            "out_indices": tuple(range(row.maps)),
            "flatten_sequential": row.flatten_sequential,
        },
        candidate=candidate_from({"preset": name, "drop_path_rate": drop_path_rate}),
        seed=int(torch.randint(2**62, ())),
        **kwargs,
    )
    return model
