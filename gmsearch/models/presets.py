"""The GmNet presets as models of timm: `timm.create_model("gmnet_s3")` after this import.

Importing this module registers them. No trained weights come with them.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from gmsearch.candidate import PRESETS, candidate_from
from gmsearch.models.gmnet import GmNet

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
            "first_conv": "stem.0.conv",
            "classifier": "head",
            "paper_ids": "arXiv:2503.22841",
        }
        for name in PRESETS
    }
)


@register_model
def gmnet_s1(pretrained: bool = False, **kwargs: Any) -> GmNet:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S1, inferred: it matches the published 3.7 M and 0.6 G, as other choices would."""
    return _preset("gmnet_s1", pretrained, kwargs)


@register_model
def gmnet_s2(pretrained: bool = False, **kwargs: Any) -> GmNet:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S2, inferred: it matches the published 6.2 M and 0.9 G, as other choices would."""
    return _preset("gmnet_s2", pretrained, kwargs)


@register_model
def gmnet_s3(pretrained: bool = False, **kwargs: Any) -> GmNet:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S3 as officially released: 7,791,544 parameters, 1,241,744,512 fvcore flops at 224."""
    return _preset("gmnet_s3", pretrained, kwargs)


@register_model
def gmnet_s4(pretrained: bool = False, **kwargs: Any) -> GmNet:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S4, inferred: it matches the published 17.0 M and 2.7 G, as other choices would."""
    return _preset("gmnet_s4", pretrained, kwargs)


def _preset(name: str, pretrained: bool, kwargs: dict[str, Any]) -> GmNet:  # noqa: FBT001 - passed on
    """Build a preset with timm's arguments, its weights seeded from torch's global generator."""
    drop_path_rate = kwargs.pop("drop_path_rate", 0.0)
    candidate = candidate_from({"preset": name, "drop_path_rate": drop_path_rate})
    model: GmNet = build_model_with_cfg(
        GmNet,
        name,
        pretrained,
        feature_cfg={"out_indices": (0, 1, 2, 3), "flatten_sequential": True},
        candidate=candidate,
        seed=int(torch.randint(2**62, ())),
        **kwargs,
    )
    return model
