"""Cost of our networks in closed form: plain integers, no torch, each distinct block counted once.

Convention, for one image in eval mode:

`flops` is fvcore's total. A multiply-add is one; a convolution's bias is free; a batch norm is 2
per element, a layer norm 5, the global average pool 1 per element it reads.

`elementwise_ops` is what fvcore leaves out, never part of `flops`: one operation per element and
elementary step of an activation (identity none, squared ReLU two, every other one), of a product,
of the constant of `gain`, of the layer scale and of the residual sum; k^2 per element of a k x k
pool, its border included. `activation_elements` is the number of elements these steps write: the
same, but one per element of a pool.

Models of timm are counted by `gmsearch.measured_cost`, which also audits this module.
"""

from __future__ import annotations

from gmsearch.cost import gmnet, mobilenetv2, resnet18
from gmsearch.errors import FieldError
from gmsearch.networks import GmNetSpec, OwnNetwork, ResNet18Spec
from gmsearch.networks.count import NOTHING, Cost, Count, Kind, Part, conv_kind, cost_of

__all__ = ["NOTHING", "Cost", "Count", "Kind", "Part", "conv_kind", "cost", "cost_of"]


def cost(candidate: OwnNetwork, *, num_classes: int, resolution: int, in_chans: int = 3) -> Cost:
    """Return the cost of a network on one image of `resolution` x `resolution` pixels.

    Every stride is padded so that it maps n pixels to ceil(n/2): no image of at least one pixel
    is too small.

    Raises:
        FieldError: for a resolution below one pixel.
    """
    if resolution < 1:
        raise FieldError("resolution", f"{resolution} leaves no pixel; give at least 1")
    shape = num_classes, resolution, in_chans
    if isinstance(candidate, GmNetSpec):
        return cost_of(*gmnet.parts(candidate, *shape))
    if isinstance(candidate, ResNet18Spec):
        return cost_of(*resnet18.parts(candidate, *shape))
    return cost_of(*mobilenetv2.parts(candidate, *shape))
