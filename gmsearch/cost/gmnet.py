"""The parts of a GmNet."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from gmsearch.networks import Activation, GmNetSpec, Placement, Product
from gmsearch.networks.count import Part, part, repeated, together
from gmsearch.networks.layers import Place, batch_norm, conv, elementwise, placed, pooled_linear
from gmsearch.networks.stages import halved


class _Variant(NamedTuple):
    """What the blocks of a network do between their convolutions."""

    activation: Activation
    placement: tuple[Placement, ...]
    kernel_size: int
    """Of the second factor."""
    gain: bool
    layer_scale: bool


def parts(candidate: GmNetSpec, num_classes: int, resolution: int, in_chans: int) -> list[Part]:
    """Return stem, stages and head."""
    side = halved(resolution) if candidate.stem == "imagenet" else resolution
    width = candidate.stem_width
    found = [_stem(in_chans, width, side)]
    gate, ratios, kernels = candidate.gate, candidate.mlp_ratio, candidate.kernel_size
    variant = _Variant(
        gate.activation,
        gate.placement,
        gate.kernel_size,
        candidate.gain != "none",
        candidate.layer_scale is not None,
    )
    for stage, depth in enumerate(candidate.depths):
        before, width, side = width, candidate.widths[stage], halved(side)
        shape = before, width, ratios[stage], kernels[stage], side
        found.append(_stage(depth, shape, gate.product_in(stage), variant))
    found.append(_head(width, num_classes, side))
    return found


@lru_cache(maxsize=2**16)
def _stem(in_chans: int, width: int, side: int) -> Part:
    return together(_normed(in_chans, width, side), elementwise("activation", width, side))


@lru_cache(maxsize=2**16)
def _head(width: int, num_classes: int, side: int) -> Part:
    return together(batch_norm(width, side), pooled_linear(width, num_classes, side))


@lru_cache(maxsize=2**16)
def _stage(
    depth: int, shape: tuple[int, int, float, int, int], product: Product, variant: _Variant
) -> Part:
    before, width, ratio, kernel_size, side = shape
    block = _block((width, int(ratio * width), kernel_size, side), product, variant)
    return together(_normed(before, width, side), repeated(block, depth))


def _normed(in_chans: int, out_chans: int, side: int) -> Part:
    return together(conv(in_chans, out_chans, 3, side), batch_norm(out_chans, side))


@lru_cache(maxsize=2**16)
def _block(shape: tuple[int, int, int, int], product: Product, variant: _Variant) -> Part:
    width, hidden, kernel_size, side = shape

    def place(name: Placement, place_width: int, source_width: int) -> Part:
        here = product if name in variant.placement else "none"
        if here == "none" and name != "expand":
            return Part()
        place = Place(variant.activation, here, variant.kernel_size, variant.gain)
        return placed(place, place_width, source_width, side)

    depthwise = conv(width, width, kernel_size, side, width)
    return together(
        depthwise,
        batch_norm(width, side),
        place("input", width, width),
        conv(width, hidden, 1, side),
        place("expand", hidden, width),
        conv(hidden, width, 1, side),
        batch_norm(width, side),
        place("output", width, hidden),
        depthwise,
        part("layer_scale", params=width * variant.layer_scale),
        elementwise("multiply", width, side, int(variant.layer_scale)),
        elementwise("add", width, side),
    )
