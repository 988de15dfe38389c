"""MobileNetV2 as plain data, the gate free in kind and place."""

from __future__ import annotations

import dataclasses
from typing import Literal

from gmsearch.checks import is_number
from gmsearch.limits import assign, require
from gmsearch.networks.gate import Gate, Placement, gate_of_classic
from gmsearch.networks.stages import (
    halved,
    kernels_of,
    larger_than_map,
    per_stage,
    require_positive,
    require_shared,
    stages_of,
)
from gmsearch.plain import digest, plain

_STRIDES = (1, 2, 2, 2, 1, 2, 1)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV2Spec:
    """One MobileNetV2 (arXiv 1801.04381), its seven stages free in width and depth, and its gate.

    Where the gate is not placed the activation is ReLU6.
    """

    family: Literal["mobilenetv2"] = "mobilenetv2"

    widths: tuple[int, ...] = (16, 24, 32, 64, 96, 160, 320)
    """Channels of each of the seven stages."""

    depths: tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1)
    """Blocks of each of the seven stages, at least one."""

    mlp_ratio: tuple[float, ...] = (1.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0)
    """Expansion of a block's input; one number, or one per stage. 1 leaves the expansion out, and
    with it the place `expand`."""

    kernel_size: tuple[int, ...] = (3,)
    """Kernel of the depthwise convolution; one odd integer, or one per stage."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """imagenet: stem and second stage of stride 2; cifar: both of stride 1."""

    stem_width: int = 32

    head_width: int = 1280
    """Channels of the 1x1 convolution before the pool."""

    gate: Gate = dataclasses.field(
        default_factory=lambda: Gate(product="none", activation="relu6", placement=("expand",))
    )
    """None in the network as published. A gate that is written has the gate's own defaults."""

    drop_path_rate: float = 0.0
    """Stochastic depth, linear from 0 to this over the blocks; acts in those with a shortcut."""

    init: Literal["kaiming", "release", "timm"] = "kaiming"
    """kaiming: normal by the fan out; release: PyTorch's default; timm: truncated normal of sd
    0.02. All of the convolutions."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales what every activation or gate of a block gives to the variance of its
    input for a standard normal input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        require(self.family == "mobilenetv2", "family", f"{self.family!r} is not 'mobilenetv2'")
        widths, depths = stages_of(self.widths, self.depths)
        n = len(_STRIDES)
        require(len(widths) == n, "widths", f"has {len(widths)} stages; a MobileNetV2 has {n}")
        require_shared(self, ("kaiming", "release", "timm"))
        ratios = per_stage(self.mlp_ratio, n, "mlp_ratio")
        for ratio, before, width in zip(ratios, (self.stem_width, *widths), widths, strict=False):
            require(
                is_number(ratio) and int(ratio * min(before, width)) >= 1,
                "mlp_ratio",
                f"{ratio!r} times width {min(before, width)} leaves no channel",
            )
        require_positive(self.head_width, "head_width")
        assign(
            self,
            widths=widths,
            depths=depths,
            mlp_ratio=tuple(float(r) for r in ratios),
            kernel_size=kernels_of(self.kernel_size, n),
            drop_path_rate=float(self.drop_path_rate),
        )
        places = [self.places(stage) for stage in range(n)]
        assign(self, gate=gate_of_classic(self.gate, "mobilenetv2", places, "relu6"))

    def stride(self, stage: int) -> int:
        """Return the stride of the first block of a stage."""
        return 1 if self.stem == "cifar" and stage == 1 else _STRIDES[stage]

    def places(self, stage: int) -> tuple[Placement, ...]:
        """Return the places of a gate in the blocks of one stage."""
        return ("depthwise",) if self.mlp_ratio[stage] == 1 else ("expand", "depthwise")

    def in_width(self, stage: int, block: int) -> int:
        """Return the channels that one block reads."""
        if block > 0:
            return self.widths[stage]
        return self.widths[stage - 1] if stage > 0 else self.stem_width

    def hidden_width(self, stage: int, block: int) -> int:
        """Return the channels of the depthwise convolution of one block."""
        return int(self.mlp_ratio[stage] * self.in_width(stage, block))

    def kernel_warnings(self, resolution: int) -> list[str]:
        """Return a line for every kernel that is larger than the map it works on."""
        side = halved(resolution) if self.stem == "imagenet" else resolution
        kernels = []
        for stage, kernel_size in enumerate(self.kernel_size):
            side = halved(side) if self.stride(stage) == 2 else side
            kernels.append((f"stage {stage}", kernel_size, side))
            if self.gate.product_in(stage) in ("dw", "pool"):
                kernels.append((f"gate of stage {stage}", self.gate.kernel_size, side))
        return larger_than_map(kernels)

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return digest(plain(self))
