"""Layers and gates counted from their shapes; `side` is that of the map a layer writes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from gmsearch.networks.count import Kind, Part, conv_kind, part, together
from gmsearch.networks.gate import Activation, Gate, Placement, Product

_STEPS = {"identity": 0, "squared_relu": 2}  # of an activation; 1 for every other


class Place(NamedTuple):
    """What stands at one place of a block: an activation, its second factor, `gain`'s constant."""

    activation: Activation
    product: Product
    kernel_size: int
    """Of the second factor."""
    gain: bool


def classic_places(
    gate: Gate, own: Activation, names: Sequence[Placement], *, gain: bool
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Return what stands at the named places of the gated blocks, and of those that are not.

    Of the families in which a place that the gate does not name keeps the family's activation.
    """
    plain = Place(own, "none", gate.kernel_size, gain)
    gated = Place(gate.activation, gate.product, gate.kernel_size, gain)
    ungated = Place(gate.activation, "none", gate.kernel_size, gain)
    return (
        tuple(gated if name in gate.placement else plain for name in names),
        tuple(ungated if name in gate.placement else plain for name in names),
    )


@lru_cache(maxsize=2**16)
def conv(
    in_chans: int,
    out_chans: int,
    kernel_size: int,
    side: int,
    groups: int = 1,
    *,
    bias: bool = True,
) -> Part:
    """Count a convolution; fvcore gives its bias for free."""
    weights = out_chans * in_chans // groups * kernel_size**2
    kind = conv_kind(in_chans, groups, (kernel_size,))
    return part(kind, params=weights + bias * out_chans, flops=weights * side**2)


@lru_cache(maxsize=2**16)
def batch_norm(width: int, side: int) -> Part:
    """Count a batch norm with weight and bias."""
    return part("norm", params=2 * width, flops=2 * width * side**2)


@lru_cache(maxsize=2**16)
def pooled_linear(width: int, num_classes: int, side: int) -> Part:
    """Count the global average pool, which has `side`^2 pixels to read, and the linear head."""
    return together(
        part("pool", flops=width * side**2),
        part("linear", params=(width + 1) * num_classes, flops=width * num_classes),
    )


def elementwise(kind: Kind, width: int, side: int, steps: int = 1) -> Part:
    """Count `steps` operations on every element of a map."""
    elements = steps * width * side**2
    return part(kind, elementwise_ops=elements, activation_elements=elements)


def pool(width: int, kernel_size: int, side: int) -> Part:
    """Count a pool over windows, its border included."""
    elements = width * side**2
    return part("pool", elementwise_ops=kernel_size**2 * elements, activation_elements=elements)


def placed(place: Place, width: int, source_width: int, side: int) -> Part:
    """Count an activation and its second factor on a map of `width` channels.

    `source_width` is that of the tensor which the layer before has read: what `split` reads.
    """
    steps = _STEPS.get(place.activation, 1)
    return together(
        elementwise("activation", width, side, steps),
        elementwise("multiply", width, side, int(place.gain)),
        _second_factor(place, width, source_width, side),
    )


def _second_factor(place: Place, width: int, source_width: int, side: int) -> Part:
    """Count the second factor and the multiplication by it."""
    product, kernel_size = place.product, place.kernel_size
    if product == "none":
        return Part()
    if product == "ln":
        factor = part("norm", params=2 * width, flops=5 * width * side**2)
    elif product == "dw":
        factor = conv(width, width, kernel_size, side, width)
    elif product == "pool":
        factor = pool(width, kernel_size, side)
    elif product == "self":
        factor = Part()
    else:
        factor = conv(source_width if product == "split" else width, width, 1, side)
    return together(factor, elementwise("multiply", width, side))
