"""Cost of layers from their shapes; `side` is that of the map a layer writes, in pixels."""

from __future__ import annotations

from gmsearch.networks.count import LayerKind, PartCost, conv_kind, counted_once, part, together


@counted_once
def conv(
    in_chans: int,
    out_chans: int,
    kernel_size: int,
    side: int,
    groups: int = 1,
    *,
    bias: bool = True,
) -> PartCost:
    """Count a convolution; fvcore counts no bias."""
    weights = out_chans * in_chans // groups * kernel_size**2
    kind = conv_kind(in_chans, groups, (kernel_size,))
    return part(kind, params=weights + bias * out_chans, flops=weights * side**2)


@counted_once
def batch_norm(width: int, side: int) -> PartCost:
    """Count a batch norm with weight and bias."""
    return part("norm", params=2 * width, flops=2 * width * side**2)


@counted_once
def pooled_linear(width: int, num_classes: int, side: int) -> PartCost:
    """Count the global average pool of a map of `side`^2 pixels, and the linear head."""
    return together(
        part("pool", flops=width * side**2),
        part("linear", params=(width + 1) * num_classes, flops=width * num_classes),
    )


def elementwise(kind: LayerKind, width: int, side: int, steps: int = 1) -> PartCost:
    """Count `steps` operations on every element of a map."""
    elements = steps * width * side**2
    return part(kind, elementwise_ops=elements, activation_elements=elements)


def pool(width: int, kernel_size: int, side: int) -> PartCost:
    """Count a pool over windows, its border included."""
    elements = width * side**2
    return part("pool", elementwise_ops=kernel_size**2 * elements, activation_elements=elements)
