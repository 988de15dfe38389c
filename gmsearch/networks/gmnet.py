"""GmNet as plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal

from gmsearch.checks import is_number
from gmsearch.limits import assign, require
from gmsearch.networks.gate import Gate, gate_of_gmnet
from gmsearch.networks.stages import (
    halved,
    kernels_of,
    larger_than_map,
    per_stage,
    require_shared,
    stages_of,
)
from gmsearch.plain import digest, plain


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GmNetSpec:
    """One GmNet (arXiv 2503.22841): widths, depths, kernels and ratios per stage, and its gate."""

    family: Literal["gmnet"] = "gmnet"

    widths: tuple[int, ...]
    """Channels per stage; its length is the number of stages."""

    depths: tuple[int, ...]
    """Blocks per stage, at least one each."""

    mlp_ratio: tuple[float, ...] = (4.0,)
    """Expansion of the 1x1 convolutions; one number, or one per stage."""

    kernel_size: tuple[int, ...] = (7,)
    """Kernel of the two depthwise convolutions; one odd integer, or one per stage."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """Stride of the stem: imagenet 2 (as released), cifar 1."""

    stem_width: int = 32
    gate: Gate = dataclasses.field(default_factory=Gate)

    layer_scale: float | None = 1e-6
    """Start of the per-channel scale of every block, as released; none for no scale."""

    drop_path_rate: float = 0.0
    """Stochastic depth, linear from 0 to this over the blocks."""

    init: Literal["release", "timm"] = "release"
    """release: PyTorch's default for convolutions; timm: truncated normal of sd 0.02."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales the gate's output to the variance of its input for a standard normal
    input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        require(self.family == "gmnet", "family", f"{self.family!r} is not 'gmnet'")
        widths, depths = stages_of(self.widths, self.depths)
        n = len(widths)
        ratios = per_stage(self.mlp_ratio, n, "mlp_ratio")
        for ratio, width in zip(ratios, widths, strict=True):
            require(
                is_number(ratio) and int(ratio * width) >= 1,
                "mlp_ratio",
                f"{ratio!r} times width {width} leaves no channel",
            )
        kernels = kernels_of(self.kernel_size, n)
        require(
            self.layer_scale is None or (is_number(self.layer_scale) and self.layer_scale > 0),
            "layer_scale",
            f"{self.layer_scale!r} is neither a positive number nor none",
        )
        require_shared(self, ("release", "timm"))
        assign(
            self,
            widths=widths,
            depths=depths,
            mlp_ratio=tuple(float(r) for r in ratios),
            kernel_size=kernels,
            gate=gate_of_gmnet(self.gate, n),
            layer_scale=None if self.layer_scale is None else float(self.layer_scale),
            drop_path_rate=float(self.drop_path_rate),
        )

    def hidden_width(self, stage: int) -> int:
        """Return the channels of the expanded tensor in the blocks of one stage."""
        return int(self.mlp_ratio[stage] * self.widths[stage])

    def kernel_warnings(self, resolution: int) -> list[str]:
        """Return a line for every kernel that is larger than the map it works on."""
        side = halved(resolution) if self.stem == "imagenet" else resolution
        kernels = []
        for stage, kernel_size in enumerate(self.kernel_size):
            side = halved(side)
            kernels.append((f"stage {stage}", kernel_size, side))
            if self.gate.product_in(stage) in ("dw", "pool"):
                kernels.append((f"gate of stage {stage}", self.gate.kernel_size, side))
        return larger_than_map(kernels)

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return digest(plain(self))
