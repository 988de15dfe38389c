"""ResNet-18 as plain data, the gate free in kind and place."""

from __future__ import annotations

import dataclasses
from typing import Literal

from gmsearch.limits import assign, require
from gmsearch.networks.gate import PLACEMENTS, Gate, gate_of_classic
from gmsearch.networks.stages import halved, larger_than_map, require_shared, stages_of
from gmsearch.plain import digest, plain


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ResNet18Spec:
    """One ResNet of basic blocks (arXiv 1512.03385), ResNet-18 by default, and its gate.

    Where the gate is not placed the activation is ReLU.
    """

    family: Literal["resnet18"] = "resnet18"

    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels per stage; its length is the number of stages, at most four."""

    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks per stage, at least one each."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """imagenet: 7x7 of stride 2 and a max pool of stride 2; cifar: 3x3 of stride 1, no pool."""

    stem_width: int = 64

    gate: Gate = dataclasses.field(
        default_factory=lambda: Gate(product="none", activation="relu", placement=("inner",))
    )
    """None in the network as published. A gate that is written has the gate's own defaults."""

    drop_path_rate: float = 0.0
    """Stochastic depth, linear from 0 to this over the blocks."""

    init: Literal["kaiming", "release", "timm"] = "kaiming"
    """kaiming: normal by the fan out; release: PyTorch's default; timm: truncated normal of sd
    0.02. All of the convolutions."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales what every activation or gate of a block gives to the variance of its
    input for a standard normal input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        require(self.family == "resnet18", "family", f"{self.family!r} is not 'resnet18'")
        widths, depths = stages_of(self.widths, self.depths)
        n = len(widths)
        require(n <= 4, "widths", f"has {n} stages; a ResNet-18 has at most 4")
        require_shared(self, ("kaiming", "release", "timm"))
        places = [PLACEMENTS["resnet18"]] * n
        assign(
            self,
            widths=widths,
            depths=depths,
            gate=gate_of_classic(self.gate, "resnet18", places, "relu"),
            drop_path_rate=float(self.drop_path_rate),
        )

    def stride(self, stage: int) -> int:
        """Return the stride of the first block of a stage."""
        return 1 if stage == 0 else 2

    def kernel_warnings(self, resolution: int) -> list[str]:
        """Return a line for every kernel that is larger than the map it works on."""
        side = halved(halved(resolution)) if self.stem == "imagenet" else resolution
        kernels = []
        for stage in range(len(self.widths)):
            side = halved(side) if self.stride(stage) == 2 else side
            kernels.append((f"stage {stage}", 3, side))
            if self.gate.product_in(stage) in ("dw", "pool"):
                kernels.append((f"gate of stage {stage}", self.gate.kernel_size, side))
        return larger_than_map(kernels)

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return digest(plain(self))
