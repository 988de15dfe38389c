"""The presets as models of timm: `timm.create_model("gmnet_s3")` after this import.

Importing this module registers them. No trained weights come with them. What of a preset is
published and what inferred is said in `gmsearch.networks.presets`.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from gmsearch.models.gmnet import GmNet
from gmsearch.models.mobilenetv2 import MobileNetV2
from gmsearch.models.resnet18 import ResNet18
from gmsearch.networks import PRESETS, candidate_from, preset_family

_CLASSES: dict[str, type[nn.Module]] = {
    "gmnet": GmNet,
    "resnet18": ResNet18,
    "mobilenetv2": MobileNetV2,
}
_FIRST_CONV = {"gmnet": "stem.0.conv", "resnet18": "conv1", "mobilenetv2": "conv_stem"}
_CLASSIFIER = {"gmnet": "head", "resnet18": "fc", "mobilenetv2": "classifier"}
_MAPS = {"gmnet": 4, "resnet18": 5, "mobilenetv2": 5}

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
            "first_conv": _FIRST_CONV[preset_family(name)],
            "classifier": _CLASSIFIER[preset_family(name)],
            "paper_ids": "arXiv:2503.22841",
        }
        for name in PRESETS
    }
)


@register_model
def gmnet_s1(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S1, inferred: it matches the published 3.7 M and 0.6 G, as other choices would."""
    return _preset("gmnet_s1", pretrained, kwargs)


@register_model
def gmnet_s2(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S2, inferred: it matches the published 6.2 M and 0.9 G, as other choices would."""
    return _preset("gmnet_s2", pretrained, kwargs)


@register_model
def gmnet_s3(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S3 as officially released: 7,791,544 parameters, 1,241,744,512 fvcore flops at 224."""
    return _preset("gmnet_s3", pretrained, kwargs)


@register_model
def gmnet_s4(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """GmNet-S4, inferred: it matches the published 17.0 M and 2.7 G, as other choices would."""
    return _preset("gmnet_s4", pretrained, kwargs)


@register_model
def res18(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """ResNet-18."""
    return _preset("res18", pretrained, kwargs)


@register_model
def res18_ewp(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """ResNet-18 with h * h at its inner activation; the paper's placement is not public."""
    return _preset("res18_ewp", pretrained, kwargs)


@register_model
def res18_gate_relu6(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """ResNet-18 with relu6(h) * h at its inner activation; placed by us, as `res18_ewp`."""
    return _preset("res18_gate_relu6", pretrained, kwargs)


@register_model
def res18_gate_gelu(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """ResNet-18 with gelu(h) * h at its inner activation; placed by us, as `res18_ewp`."""
    return _preset("res18_gate_gelu", pretrained, kwargs)


@register_model
def mobilenetv2(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """MobileNetV2 of width 1."""
    return _preset("mobilenetv2", pretrained, kwargs)


@register_model
def mobilenetv2_ewp(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """MobileNetV2 with h * h after the expansion; the paper's placement is not public."""
    return _preset("mobilenetv2_ewp", pretrained, kwargs)


@register_model
def mobilenetv2_gate_relu6(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """MobileNetV2 with relu6(h) * h after the expansion; as `mobilenetv2_ewp`."""
    return _preset("mobilenetv2_gate_relu6", pretrained, kwargs)


@register_model
def mobilenetv2_gate_gelu(pretrained: bool = False, **kwargs: Any) -> nn.Module:  # noqa: FBT001, FBT002 - timm's signature
    """MobileNetV2 with gelu(h) * h after the expansion; as `mobilenetv2_ewp`."""
    return _preset("mobilenetv2_gate_gelu", pretrained, kwargs)


def _preset(name: str, pretrained: bool, kwargs: dict[str, Any]) -> nn.Module:  # noqa: FBT001 - passed on
    """Build a preset with timm's arguments, its weights seeded from torch's global generator."""
    drop_path_rate = kwargs.pop("drop_path_rate", 0.0)
    family = preset_family(name)
    model: nn.Module = build_model_with_cfg(
        _CLASSES[family],
        name,
        pretrained,
        feature_cfg={
            "out_indices": tuple(range(_MAPS[family])),
            "flatten_sequential": family != "resnet18",
        },
        candidate=candidate_from({"preset": name, "drop_path_rate": drop_path_rate}),
        seed=int(torch.randint(2**62, ())),
        **kwargs,
    )
    return model
