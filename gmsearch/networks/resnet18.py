"""ResNet-18 as plain data, its gate free in kind and place, and its cost in closed form."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from gmsearch.errors import FieldError
from gmsearch.limits import Length, Positive, Share, assign, normalise, raise_all
from gmsearch.networks.candidate import network_digest
from gmsearch.networks.count import PartCost, counted_once, repeated, together
from gmsearch.networks.gate import Gate
from gmsearch.networks.layers import batch_norm, conv, elementwise, pool, pooled_linear
from gmsearch.networks.places import Place, Places, classic_gate, classic_places, count_place
from gmsearch.networks.stages import halved, kernel_warnings, network_errors

PLACES = Places(("inner", "outer"), default="inner")
OWN_ACTIVATION = "relu"
"""The activation of the stem, and of the places that the gate does not name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ResNet18Spec:
    """One ResNet of basic blocks (arXiv 1512.03385), ResNet-18 by default, and its gate.

    Where the gate is not placed the activation is ReLU.
    """

    family: Literal["resnet18"] = "resnet18"

    widths: Annotated[tuple[Positive, ...], Length(least=1)] = (64, 128, 256, 512)
    """Channels per stage; its length is the number of stages, at most four."""

    depths: Annotated[tuple[Positive, ...], Length(least=1)] = (2, 2, 2, 2)
    """Blocks per stage, at least one each."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """imagenet: 7x7 of stride 2 and a max pool of stride 2; cifar: 3x3 of stride 1, no pool."""

    stem_width: Positive = 64
    """Channels of the stem."""

    gate: Gate = dataclasses.field(
        default_factory=lambda: Gate(product="none", activation="relu", placement=("inner",))
    )
    """No gate by default, as published. A gate that is written has the gate's own defaults."""

    drop_path_rate: Share = 0.0
    """Stochastic depth, linear from 0 to this over the blocks."""

    init: Literal["kaiming", "release", "timm"] = "kaiming"
    """Weights of the convolutions. kaiming: normal by the fan out; release: PyTorch's default;
    timm: truncated normal of sd 0.02."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales the output of every activation or gate of a block to the variance of
    its input for a standard normal input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        normalise(self)
        errors = network_errors(self, PLACES)
        n_stages = len(self.widths)
        if n_stages > 4:
            message = f"has {n_stages} stages; a ResNet-18 has at most 4"
            errors.insert(0, FieldError("widths", message))
        raise_all(errors)
        by_stage = (PLACES.names,) * n_stages
        assign(self, gate=classic_gate(self.gate, PLACES, by_stage, OWN_ACTIVATION))

    def stride(self, stage: int) -> int:
        """Return the stride of the first block of a stage."""
        return 1 if stage == 0 else 2

    def kernel_warnings(self, resolution: int) -> list[str]:
        """Return a line for every kernel that is larger than the map it works on."""
        side = halved(halved(resolution)) if self.stem == "imagenet" else resolution
        sides = [
            side := halved(side) if self.stride(stage) == 2 else side
            for stage in range(len(self.widths))
        ]
        return kernel_warnings(self.gate, [3] * len(sides), sides)

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return network_digest(self)


def parts(
    network: ResNet18Spec, num_classes: int, resolution: int, in_chans: int
) -> list[PartCost]:
    """Return the costs of stem, stages and head."""
    gate, gain, cifar = network.gate, network.gain != "none", network.stem == "cifar"
    side = resolution if cifar else halved(resolution)
    width = network.stem_width
    counted = [_stem(in_chans, width, side, cifar)]
    side = side if cifar else halved(side)
    gated, ungated = classic_places(gate, OWN_ACTIVATION, PLACES.names, gain=gain)
    for stage, depth in enumerate(network.depths):
        before, width, stride = width, network.widths[stage], network.stride(stage)
        side = halved(side) if stride == 2 else side
        places = ungated if gate.product_in(stage) == "none" else gated
        counted.append(_stage(depth, (before, width, stride, side), places))
    counted.append(pooled_linear(width, num_classes, side))
    return counted


@counted_once
def _stem(in_chans: int, width: int, side: int, cifar: bool) -> PartCost:  # noqa: FBT001 - of a memo
    return together(
        conv(in_chans, width, 3 if cifar else 7, side, bias=False),
        batch_norm(width, side),
        elementwise("activation", width, side),
        PartCost() if cifar else pool(width, 3, halved(side)),
    )


@counted_once
def _stage(depth: int, shape: tuple[int, int, int, int], places: tuple[Place, ...]) -> PartCost:
    before, width, stride, side = shape
    shortcut = stride == 1 and before == width
    first = _block(before, width, side, places)
    if not shortcut:
        downsample = conv(before, width, 1, side, bias=False)
        first = together(first, downsample, batch_norm(width, side))
    return together(first, repeated(_block(width, width, side, places), depth - 1))


@counted_once
def _block(before: int, width: int, side: int, places: tuple[Place, ...]) -> PartCost:
    """Count a basic block from `before` channels, its shortcut an identity."""
    inner, outer = places
    return together(
        conv(before, width, 3, side, bias=False),
        batch_norm(width, side),
        count_place(inner, width, before, side),
        conv(width, width, 3, side, bias=False),
        batch_norm(width, side),
        elementwise("add", width, side),
        count_place(outer, width, width, side),
    )
