"""MobileNetV2 as plain data, its gate free in kind and place, and its cost in closed form."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from gmsearch.errors import FieldError
from gmsearch.limits import (
    Length,
    OddKernel,
    Positive,
    PositiveNumber,
    Share,
    assign,
    normalise,
    raise_all,
)
from gmsearch.networks.candidate import network_digest
from gmsearch.networks.count import PartCost, counted_once, repeated, together
from gmsearch.networks.gate import Gate
from gmsearch.networks.layers import batch_norm, conv, elementwise, pooled_linear
from gmsearch.networks.places import Place, Places, classic_gate, classic_places, count_place
from gmsearch.networks.stages import (
    halved,
    kernel_warnings,
    network_errors,
    ratio_errors,
    spread,
)

PLACES = Places(("expand", "depthwise"), default="expand")
OWN_ACTIVATION = "relu6"
"""The activation of stem and head, and of the places that the gate does not name."""

_STRIDES = (1, 2, 2, 2, 1, 2, 1)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV2Spec:
    """One MobileNetV2 (arXiv 1801.04381), its seven stages free in width and depth, and a gate.

    Where the gate is not placed the activation is ReLU6.
    """

    family: Literal["mobilenetv2"] = "mobilenetv2"

    widths: Annotated[tuple[Positive, ...], Length(least=1)] = (16, 24, 32, 64, 96, 160, 320)
    """Channels of each of the seven stages."""

    depths: Annotated[tuple[Positive, ...], Length(least=1)] = (1, 2, 3, 4, 3, 3, 1)
    """Blocks of each of the seven stages, at least one."""

    mlp_ratio: tuple[PositiveNumber, ...] = (1.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0)
    """Expansion of a block's input; one number, or one per stage. With 1 a block has no expansion,
    and so no place `expand`."""

    kernel_size: tuple[OddKernel, ...] = (3,)
    """Kernel of the depthwise convolution; one odd integer, or one per stage."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """imagenet: stem and second stage of stride 2; cifar: both of stride 1."""

    stem_width: Positive = 32
    """Channels of the stem."""

    head_width: Positive = 1280
    """Channels of the 1x1 convolution before the pool."""

    gate: Gate = dataclasses.field(
        default_factory=lambda: Gate(product="none", activation="relu6", placement=("expand",))
    )
    """No gate by default, as published. A gate that is written has the gate's own defaults."""

    drop_path_rate: Share = 0.0
    """Stochastic depth, linear from 0 to this over the blocks; only of blocks with a shortcut."""

    init: Literal["kaiming", "release", "timm"] = "kaiming"
    """Weights of the convolutions. kaiming: normal by the fan out; release: PyTorch's default;
    timm: truncated normal of sd 0.02."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales the output of every activation or gate of a block to the variance of
    its input for a standard normal input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        normalise(self)
        n = len(_STRIDES)
        errors = network_errors(self, PLACES, n_stages=n, per_stage=("mlp_ratio", "kernel_size"))
        if len(self.widths) != n:
            message = f"has {len(self.widths)} stages; a MobileNetV2 has {n}"
            errors.insert(0, FieldError("widths", message))
        if "stem_width" not in {error.path for error in errors}:
            narrowest = [*map(min, (self.stem_width, *self.widths), self.widths)]
            errors += ratio_errors(self.mlp_ratio, narrowest, errors)
        raise_all(errors)
        assign(self, mlp_ratio=spread(self.mlp_ratio, n), kernel_size=spread(self.kernel_size, n))
        by_stage = tuple(self.places(stage) for stage in range(n))
        assign(self, gate=classic_gate(self.gate, PLACES, by_stage, OWN_ACTIVATION))

    def stride(self, stage: int) -> int:
        """Return the stride of the first block of a stage."""
        return 1 if self.stem == "cifar" and stage == 1 else _STRIDES[stage]

    def places(self, stage: int) -> tuple[str, ...]:
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
        sides = [
            side := halved(side) if self.stride(stage) == 2 else side
            for stage in range(len(self.widths))
        ]
        return kernel_warnings(self.gate, self.kernel_size, sides)

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return network_digest(self)


def parts(
    network: MobileNetV2Spec, num_classes: int, resolution: int, in_chans: int
) -> list[PartCost]:
    """Return the costs of stem, stages and head."""
    gate, gain = network.gate, network.gain != "none"
    side = halved(resolution) if network.stem == "imagenet" else resolution
    width = network.stem_width
    counted = [_normed(in_chans, width, 3, side)]
    gated, ungated = classic_places(gate, OWN_ACTIVATION, PLACES.names, gain=gain)
    for stage, depth in enumerate(network.depths):
        before, width = width, network.widths[stage]
        places = ungated if gate.product_in(stage) == "none" else gated
        shape = before, width, network.mlp_ratio[stage], network.kernel_size[stage]
        counted.append(_stage(depth, shape, network.stride(stage), side, places))
        side = halved(side) if network.stride(stage) == 2 else side
    counted.append(_normed(width, network.head_width, 1, side))
    counted.append(pooled_linear(network.head_width, num_classes, side))
    return counted


@counted_once
def _normed(in_chans: int, out_chans: int, kernel_size: int, side: int) -> PartCost:
    return together(
        conv(in_chans, out_chans, kernel_size, side, bias=False),
        batch_norm(out_chans, side),
        elementwise("activation", out_chans, side),
    )


@counted_once
def _stage(
    depth: int,
    shape: tuple[int, int, float, int],
    stride: int,
    reads: int,
    places: tuple[Place, ...],
) -> PartCost:
    """Count the blocks of a stage, the first of which reads a map of `reads` pixels a side."""
    before, width, *_ = shape
    side = halved(reads) if stride == 2 else reads
    first = _block(before, shape[1:], reads, side, places)
    later = _block(width, shape[1:], side, side, places)
    shortcut = elementwise("add", width, side)
    if stride == 1 and before == width:
        first = together(first, shortcut)
    return together(first, repeated(together(later, shortcut), depth - 1))


@counted_once
def _block(
    before: int,
    shape: tuple[int, float, int],
    reads: int,
    side: int,
    places: tuple[Place, ...],
) -> PartCost:
    """Count an inverted residual without its shortcut; a ratio of 1 leaves the expansion out."""
    width, ratio, kernel_size = shape
    expand, depthwise = places
    hidden = int(ratio * before)
    expansion = [
        conv(before, hidden, 1, reads, bias=False),
        batch_norm(hidden, reads),
        count_place(expand, hidden, before, reads),
    ]
    return together(
        *(() if ratio == 1 else expansion),
        conv(hidden, hidden, kernel_size, side, hidden, bias=False),
        batch_norm(hidden, side),
        count_place(depthwise, hidden, hidden, side),
        conv(hidden, width, 1, side, bias=False),
        batch_norm(width, side),
    )
