"""Cost of networks in closed form: plain integers, no torch, each distinct block counted once.

Convention, for one image in eval mode:

`flops` is fvcore's total. A multiply-add counts 1; the bias of a convolution is free; a batch norm
counts 2 per element, a layer norm 5, the global average pool 1 per element that it reads.

`elementwise_ops` is what fvcore leaves out, never part of `flops`: one operation per element and
elementary step of an activation (identity none, squared ReLU two, any other one), of a product,
of the constant of `gain`, of the layer scale and of the residual sum; k^2 per element of a k x k
pool, its border included. `activation_elements` is the number of elements that these steps write:
the same, but one per element of a pool.

What has no closed form (models of timm, plugins that state no cost) is counted by
`gmsearch.measured_cost`, which also audits this module.
"""

from __future__ import annotations

from gmsearch.errors import FieldError
from gmsearch.limits import require
from gmsearch.networks.candidate import FAMILIES, Candidate, gate_rows
from gmsearch.networks.count import Cost, cost_of


def cost(candidate: Candidate, *, num_classes: int, resolution: int, in_chans: int = 3) -> Cost:
    """Return the cost of a network on one image of `resolution` x `resolution` pixels.

    Every stride is padded so that it maps n pixels to ceil(n/2): no image of at least one pixel
    is too small.

    Raises:
        FieldError: for a resolution below one pixel, and for a network without a closed form.
    """
    require(resolution >= 1, "resolution", f"{resolution} leaves no pixel; give at least 1")
    parts = FAMILIES[candidate.family].parts
    if parts is None:
        raise FieldError("family", f"{candidate.family} has no closed-form cost; measure it")
    return cost_of(*parts(candidate, num_classes, resolution, in_chans))


def is_counted(candidate: Candidate) -> bool:
    """Return whether `cost` has a closed form for every part of a candidate."""
    if FAMILIES[candidate.family].parts is None:
        return False
    return all(row.is_counted for row in gate_rows(candidate).values())
