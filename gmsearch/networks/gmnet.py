"""GmNet as plain data, and its cost in closed form."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

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
from gmsearch.networks.count import PartCost, counted_once, part, repeated, together
from gmsearch.networks.gate import Gate
from gmsearch.networks.layers import batch_norm, conv, elementwise, pooled_linear
from gmsearch.networks.places import Place, Places, canonical_gate, count_place, without_self
from gmsearch.networks.stages import (
    halved,
    kernel_warnings,
    network_errors,
    ratio_errors,
    spread,
)

PLACES = Places(("input", "expand", "output"), default="expand")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GmNetSpec:
    """One GmNet (arXiv 2503.22841): widths, depths, ratios and kernels per stage, and a gate."""

    family: Literal["gmnet"] = "gmnet"

    widths: Annotated[tuple[Positive, ...], Length(least=1)]
    """Channels per stage; its length is the number of stages."""

    depths: Annotated[tuple[Positive, ...], Length(least=1)]
    """Blocks per stage, at least one each."""

    mlp_ratio: tuple[PositiveNumber, ...] = (4.0,)
    """Expansion of the 1x1 convolutions; one number, or one per stage."""

    kernel_size: tuple[OddKernel, ...] = (7,)
    """Kernel of the two depthwise convolutions; one odd integer, or one per stage."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """Stride of the stem: imagenet 2 (as released), cifar 1."""

    stem_width: Positive = 32
    """Channels of the stem."""

    gate: Gate = dataclasses.field(default_factory=Gate)
    """activation(h) * product(h): its factors, and where it is."""

    layer_scale: PositiveNumber | None = 1e-6
    """Start of the per-channel scale of every block, as released; none for no scale."""

    drop_path_rate: Share = 0.0
    """Stochastic depth, linear from 0 to this over the blocks."""

    init: Literal["release", "timm"] = "release"
    """release: PyTorch's default for convolutions; timm: truncated normal of sd 0.02."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales the gate's output to the variance of its input for a standard normal
    input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        normalise(self)
        errors = network_errors(self, PLACES, per_stage=("mlp_ratio", "kernel_size"))
        raise_all([*errors, *ratio_errors(self.mlp_ratio, self.widths, errors)])
        n_stages = len(self.widths)
        assign(
            self,
            mlp_ratio=spread(self.mlp_ratio, n_stages),
            kernel_size=spread(self.kernel_size, n_stages),
            gate=_canonical(self.gate, n_stages),
        )

    def hidden_width(self, stage: int) -> int:
        """Return the channels of the expanded tensor in the blocks of one stage."""
        return int(self.mlp_ratio[stage] * self.widths[stage])

    def kernel_warnings(self, resolution: int) -> list[str]:
        """Return a line for every kernel that is larger than the map it works on."""
        side = halved(resolution) if self.stem == "imagenet" else resolution
        sides = [side := halved(side) for _ in self.widths]
        return kernel_warnings(self.gate, self.kernel_size, sides)

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return network_digest(self)


@lru_cache(maxsize=2**12)
def _canonical(gate: Gate, n_stages: int) -> Gate:
    """Return the gate as a GmNet has it, in one form for equal networks.

    `expand` has an activation, gated or not; the other places have none without a gate.
    """
    gate = canonical_gate(gate, PLACES)
    if gate.product == "none":
        in_place = gate.placement == ("expand",)
        return gate if in_place else dataclasses.replace(gate, placement=("expand",))
    if gate.stages == tuple(range(n_stages)):
        gate = dataclasses.replace(gate, stages="all")
    alone = gate.placement == ("expand",) and gate.stages == "all"
    return without_self(gate) if alone else gate


class _Variant(NamedTuple):
    """Operations of the blocks of a network between their convolutions."""

    activation: str
    placement: tuple[str, ...]
    kernel_size: int
    """Kernel of the second factor."""
    gain: bool
    layer_scale: bool


def parts(network: GmNetSpec, num_classes: int, resolution: int, in_chans: int) -> list[PartCost]:
    """Return the costs of stem, stages and head."""
    side = halved(resolution) if network.stem == "imagenet" else resolution
    width = network.stem_width
    counted = [_stem(in_chans, width, side)]
    gate, ratios, kernels = network.gate, network.mlp_ratio, network.kernel_size
    variant = _Variant(
        gate.activation,
        gate.placement,
        gate.kernel_size,
        network.gain != "none",
        network.layer_scale is not None,
    )
    for stage, depth in enumerate(network.depths):
        before, width, side = width, network.widths[stage], halved(side)
        shape = before, width, ratios[stage], kernels[stage], side
        counted.append(_stage(depth, shape, gate.product_in(stage), variant))
    counted.append(_head(width, num_classes, side))
    return counted


@counted_once
def _stem(in_chans: int, width: int, side: int) -> PartCost:
    return together(_normed(in_chans, width, side), elementwise("activation", width, side))


@counted_once
def _head(width: int, num_classes: int, side: int) -> PartCost:
    return together(batch_norm(width, side), pooled_linear(width, num_classes, side))


@counted_once
def _stage(
    depth: int, shape: tuple[int, int, float, int, int], product: str, variant: _Variant
) -> PartCost:
    before, width, ratio, kernel_size, side = shape
    block = _block((width, int(ratio * width), kernel_size, side), product, variant)
    return together(_normed(before, width, side), repeated(block, depth))


def _normed(in_chans: int, out_chans: int, side: int) -> PartCost:
    return together(conv(in_chans, out_chans, 3, side), batch_norm(out_chans, side))


@counted_once
def _block(shape: tuple[int, int, int, int], product: str, variant: _Variant) -> PartCost:
    width, hidden, kernel_size, side = shape

    def at(name: str, place_width: int, source_width: int) -> PartCost:
        here = product if name in variant.placement else "none"
        if here == "none" and name != "expand":
            return PartCost()
        place = Place(variant.activation, here, variant.kernel_size, variant.gain)
        return count_place(place, place_width, source_width, side)

    depthwise = conv(width, width, kernel_size, side, width)
    return together(
        depthwise,
        batch_norm(width, side),
        at("input", width, width),
        conv(width, hidden, 1, side),
        at("expand", hidden, width),
        conv(hidden, width, 1, side),
        batch_norm(width, side),
        at("output", width, hidden),
        depthwise,
        part("layer_scale", params=width * variant.layer_scale),
        elementwise("multiply", width, side, int(variant.layer_scale)),
        elementwise("add", width, side),
    )
