"""Networks by name, and their published sizes.

gmnet_s3 is the official release. gmnet_s1, gmnet_s2 and gmnet_s4 are inferred: they match the
published parameters and FLOPs after rounding, as other choices would (the paper's configurations
are not public). The res18 and mobilenetv2 rows with `ewp` and `gate` are named after the GmNet
paper's experiments; where the paper places the product in these blocks is not public, so `inner`
and `expand` are our choice: the activation of the widened tensor within the block. Their stem is
the ImageNet stem; `stem: cifar` next to the preset changes it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gmsearch.tables import Table

_EWP = {"product": "self", "activation": "identity"}
_GATE_RELU6 = {"product": "self", "activation": "relu6"}
_GATE_GELU = {"product": "self", "activation": "gelu"}

PRESETS: Table[dict[str, Any]] = Table(
    "preset",
    {
        "gmnet_s1": {"widths": (40, 80, 160, 320), "depths": (2, 2, 8, 2), "mlp_ratio": 3},
        "gmnet_s2": {"widths": (48, 96, 192, 384), "depths": (2, 2, 8, 3), "mlp_ratio": 3},
        "gmnet_s3": {"widths": (48, 96, 192, 384), "depths": (3, 3, 8, 3), "mlp_ratio": 4},
        "gmnet_s4": {"widths": (72, 144, 288, 576), "depths": (3, 3, 8, 3), "mlp_ratio": 4},
        "res18": {"family": "resnet18", "gate": {"product": "none", "activation": "relu"}},
        "res18_ewp": {"family": "resnet18", "gate": _EWP},
        "res18_gate_relu6": {"family": "resnet18", "gate": _GATE_RELU6},
        "res18_gate_gelu": {"family": "resnet18", "gate": _GATE_GELU},
        "mobilenetv2": {"family": "mobilenetv2", "gate": {"product": "none"}},
        "mobilenetv2_ewp": {"family": "mobilenetv2", "gate": _EWP},
        "mobilenetv2_gate_relu6": {"family": "mobilenetv2", "gate": _GATE_RELU6},
        "mobilenetv2_gate_gelu": {"family": "mobilenetv2", "gate": _GATE_GELU},
    },
)
"""Values of the fields by name; a row without `family` is a GmNet."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Size of a network in a paper, at 224 pixels and 1000 classes, rounded as printed."""

    params: float
    flops: float
    """Multiply-accumulates, which these papers call FLOPs."""
    source: str
    inferred: bool = False
    """Whether our row is inferred from these figures."""


_GMNET = "arXiv 2503.22841"

PUBLISHED: dict[str, Published] = {
    "gmnet_s1": Published(params=3.7e6, flops=0.6e9, source=_GMNET, inferred=True),
    "gmnet_s2": Published(params=6.2e6, flops=0.9e9, source=_GMNET, inferred=True),
    "gmnet_s3": Published(params=7.8e6, flops=1.2e9, source=_GMNET),
    "gmnet_s4": Published(params=17.0e6, flops=2.7e9, source=_GMNET, inferred=True),
    "res18": Published(params=11.7e6, flops=1.8e9, source="arXiv 1512.03385; torchvision"),
    "mobilenetv2": Published(params=3.4e6, flops=0.3e9, source="arXiv 1801.04381"),
}
"""Published sizes by preset; there are none for the gated variants of the last two."""


def preset_family(name: str) -> str:
    """Return the family of a preset."""
    family: str = PRESETS[name].get("family", "gmnet")
    return family
