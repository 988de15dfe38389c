"""Cost of a GmNet in closed form: plain integers, no torch, each distinct block counted once.

Convention, for one image in eval mode:

`flops` is fvcore's total. A multiply-add is one; a convolution's bias is free; a batch norm is 2
per element, a layer norm 5, the global average pool 1 per element it reads.

`elementwise_ops` is what fvcore leaves out, never part of `flops`: one operation per element and
elementary step of an activation (identity none, squared ReLU two, every other one), of a product,
of the constant of `gain`, of the layer scale and of the residual sum; k^2 per element of a k x k
average pool, its border included. `activation_elements` is the number of elements these steps
write: the same, but one per element of a pool.

Other families are counted by `gmsearch.measured_cost`, which also audits this module.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import NamedTuple

from gmsearch.candidate import Gate, GmNet, Placement, Product
from gmsearch.errors import FieldError

_STEPS = {"identity": 0, "squared_relu": 2}  # of an activation; 1 for every other


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a network costs; see the module's convention."""

    params: int
    """Trainable parameters."""
    flops: int
    """Multiply-accumulates as fvcore counts them."""
    elementwise_ops: int
    """Operations of activations, products, scales, sums and pools."""
    activation_elements: int
    """Elements those operations write."""

    def metrics(self) -> dict[str, float]:
        """Return the static metrics by name."""
        return {field: getattr(self, field) for field in self.__slots__}


class _Part(NamedTuple):
    params: int = 0
    flops: int = 0
    ops: int = 0
    elements: int = 0


class _Variant(NamedTuple):
    """What a block does between its convolutions."""

    gate: Gate
    product: Product
    gain: bool
    layer_scale: bool


def cost(candidate: GmNet, *, num_classes: int, resolution: int, in_chans: int = 3) -> Cost:
    """Return the cost of a GmNet on one image of `resolution` x `resolution` pixels.

    Every stride comes from a 3x3 convolution of padding 1, which maps n pixels to ceil(n/2), so
    no image of at least one pixel is too small.

    Raises:
        FieldError: for a resolution below one pixel.
    """
    if resolution < 1:
        raise FieldError("resolution", f"{resolution} leaves no pixel; give at least 1")
    side = _halved(resolution) if candidate.stem == "imagenet" else resolution
    width = candidate.stem_width
    params, flops, ops, elements = _stem(in_chans, width, side)
    gate = candidate.gate
    gain, layer_scale = candidate.gain != "none", candidate.layer_scale is not None
    for stage, depth in enumerate(candidate.depths):
        before, width, side = width, candidate.widths[stage], _halved(side)
        down = _conv(before, width, 3, side, norm=True)
        block = _block(
            width,
            candidate.hidden_width(stage),
            candidate.kernel_size[stage],
            side,
            _Variant(gate, gate.product_in(stage), gain, layer_scale),
        )
        params += down[0] + depth * block[0]
        flops += down[1] + depth * block[1]
        ops += depth * block[2]
        elements += depth * block[3]
    head = _head(width, num_classes, side)
    return Cost(
        params=params + head[0],
        flops=flops + head[1],
        elementwise_ops=ops,
        activation_elements=elements,
    )


def _halved(side: int) -> int:
    return (side + 1) // 2


def _sum(*parts: _Part) -> _Part:
    return _Part(*map(sum, zip(*parts, strict=True)))


def _elementwise(steps: int, width: int, side: int) -> _Part:
    elements = steps * width * side**2
    return _Part(ops=elements, elements=elements)


@lru_cache(maxsize=2**16)
def _conv(
    in_chans: int, out_chans: int, kernel_size: int, side: int, groups: int = 1, *, norm: bool
) -> _Part:
    """Count a convolution with bias whose output has `side` x `side` pixels."""
    weights = out_chans * in_chans // groups * kernel_size**2
    pixels = side**2
    params, flops = weights + out_chans, weights * pixels
    if norm:
        params, flops = params + 2 * out_chans, flops + 2 * out_chans * pixels
    return _Part(params, flops)


@lru_cache(maxsize=2**16)
def _stem(in_chans: int, width: int, side: int) -> _Part:
    return _sum(_conv(in_chans, width, 3, side, norm=True), _elementwise(1, width, side))


@lru_cache(maxsize=2**16)
def _head(width: int, num_classes: int, side: int) -> _Part:
    """Count batch norm, global average pool and linear layer."""
    norm = _Part(params=2 * width, flops=2 * width * side**2)
    pool = _Part(flops=width * side**2)
    bias = num_classes
    return _sum(norm, pool, _Part(params=width * num_classes + bias, flops=width * num_classes))


@lru_cache(maxsize=2**16)
def _block(width: int, hidden: int, kernel_size: int, side: int, variant: _Variant) -> _Part:
    gate, product, gain, layer_scale = variant

    def place(name: Placement, place_width: int, source_width: int) -> _Part:
        here = product if name in gate.placement else "none"
        if here == "none" and name != "expand":
            return _Part()
        return _sum(
            _elementwise(_STEPS.get(gate.activation, 1) + gain, place_width, side),
            _second_factor(here, gate.kernel_size, place_width, source_width, side),
        )

    return _sum(
        _conv(width, width, kernel_size, side, width, norm=True),
        place("input", width, width),
        _conv(width, hidden, 1, side, norm=False),
        place("expand", hidden, width),
        _conv(hidden, width, 1, side, norm=True),
        place("output", width, hidden),
        _conv(width, width, kernel_size, side, width, norm=False),
        _Part(params=width * layer_scale),
        _elementwise(layer_scale + 1, width, side),
    )


def _second_factor(
    product: Product, kernel_size: int, width: int, source_width: int, side: int
) -> _Part:
    """Count the second factor and the multiplication by it."""
    if product == "none":
        return _Part()
    elements = width * side**2
    window = kernel_size**2
    factor = {
        "self": _Part(),
        "ln": _Part(params=2 * width, flops=5 * elements),
        "dw": _conv(width, width, kernel_size, side, width, norm=False),
        "fc": _conv(width, width, 1, side, norm=False),
        "split": _conv(source_width, width, 1, side, norm=False),
        "pool": _Part(ops=window * elements, elements=elements),
    }[product]
    return _sum(factor, _elementwise(1, width, side))
