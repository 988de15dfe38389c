"""The gate of a block: kind, activation, place, stages; what of it a network makes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

from gmsearch.checks import is_int, one_of
from gmsearch.limits import assign, require

Product = Literal["none", "self", "ln", "dw", "fc", "split", "pool"]
Activation = Literal[
    "identity",
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "silu",
    "hardswish",
    "sigmoid",
    "tanh",
    "softplus",
    "mish",
    "squared_relu",
]
Placement = Literal["input", "expand", "output", "inner", "outer", "depthwise", "both", "default"]
PRODUCTS: tuple[str, ...] = get_args(Product)
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
PLACEMENTS: dict[str, tuple[Placement, ...]] = {
    "gmnet": ("input", "expand", "output"),
    "resnet18": ("inner", "outer"),
    "mobilenetv2": ("expand", "depthwise"),
}
"""The places of each family's block, in the order of the block."""

_DEFAULT_PLACE: dict[str, Placement] = {
    "gmnet": "expand",
    "resnet18": "inner",
    "mobilenetv2": "expand",
}
# A gate of a tensor with itself is an activation: these two have names of their own.
_SELF_AS_ACTIVATION = {"sigmoid": "silu", "relu": "squared_relu"}
_KERNEL_PRODUCTS = ("dw", "pool")
_GATE_KERNEL = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """The gate h -> activation(h) * second(h) of every block; `product` names `second`."""

    product: Product = "self"
    """Second factor: none 1, self h, ln LayerNorm, dw depthwise conv, fc 1x1 conv, split a second
    convolution of the tensor the layer before has read, pool average pooling."""

    activation: Activation = "relu6"
    """First factor; also the plain activation where a block has no product."""

    placement: tuple[Placement, ...] = ("default",)
    """Where in the block. gmnet: input (after the first depthwise), expand (on the expanded
    tensor, the default), output (before the second depthwise). resnet18: inner (after the first
    norm, the default), outer (after the residual sum). mobilenetv2: expand (the default),
    depthwise. both: the two of a resnet18 or mobilenetv2."""

    stages: Literal["all"] | tuple[int, ...] = "all"
    """The stages that are gated, from 0; the others take the plain activation."""

    kernel_size: int = _GATE_KERNEL
    """Kernel of the second factor of `dw` and `pool`, odd."""

    def __post_init__(self) -> None:
        """Check the values and bring them to canonical form, as far as one gate alone can."""
        one_of(self.product, PRODUCTS, "product")
        one_of(self.activation, ACTIVATIONS, "activation")
        placement = (self.placement,) if isinstance(self.placement, str) else self.placement
        require(len(placement) > 0, "placement", "is empty; name at least one place")
        for place in placement:
            one_of(place, get_args(Placement), "placement")
        require(
            is_int(self.kernel_size) and self.kernel_size > 0 and self.kernel_size % 2 == 1,
            "kernel_size",
            f"{self.kernel_size!r} is not a positive odd integer",
        )
        stages = self.stages
        if stages != "all":
            require(
                isinstance(stages, (tuple, list)) and all(is_int(s) and s >= 0 for s in stages),
                "stages",
                f"{stages!r} is neither 'all' nor a list of stage indices from 0",
            )
            stages = tuple(sorted(set(stages)))
        product = "none" if stages == () else self.product
        assign(
            self,
            product=product,
            placement=tuple(placement),
            stages="all" if product == "none" else stages,
            kernel_size=self.kernel_size if product in _KERNEL_PRODUCTS else _GATE_KERNEL,
        )

    def product_in(self, stage: int) -> Product:
        """Return the product of the blocks of one stage; `none` where the gate is kept out."""
        return self.product if self.stages == "all" or stage in self.stages else "none"


def gate_of_gmnet(gate: Gate, n_stages: int) -> Gate:
    """Return the gate as a GmNet of so many stages has it, equal networks made one.

    An activation stands at `expand` whether it is gated or not, and nowhere else alone.
    """
    gate = _placed(gate, "gmnet", n_stages)
    if gate.product == "none":
        return dataclasses.replace(gate, placement=("expand",))
    if gate.stages == tuple(range(n_stages)):
        gate = dataclasses.replace(gate, stages="all")
    alone = gate.placement == ("expand",) and gate.stages == "all"
    return _without_self(gate) if alone else gate


def gate_of_classic(
    gate: Gate, family: str, places: Sequence[Sequence[str]], own: Activation
) -> Gate:
    """Return the gate as a ResNet-18 or MobileNetV2 has it, equal networks made one.

    At the places the gate names stands its activation, multiplied in the stages it names; at
    the others the family's own.

    Args:
        gate: As given.

        family: Whose places it may name.

        places: The places that the blocks of each stage have.

        own: The family's activation.
    """
    gate = _placed(gate, family, len(places))
    untouched = Gate(product="none", activation=own, placement=(_DEFAULT_PLACE[family],))
    there = tuple(p for p in gate.placement if any(p in stage for stage in places))
    if not there:
        return untouched
    gate = dataclasses.replace(gate, placement=there)
    if gate.stages != "all":
        open_to_it = [s for s, stage in enumerate(places) if set(there) & set(stage)]
        gated = tuple(s for s in gate.stages if s in open_to_it)
        gate = dataclasses.replace(gate, stages="all" if gated == tuple(open_to_it) else gated)
    if gate.stages == "all":
        gate = _without_self(gate)
    return untouched if (gate.product, gate.activation) == ("none", own) else gate


def _placed(gate: Gate, family: str, n_stages: int) -> Gate:
    """Return the gate with its places named in the block's order; check them and the stages."""
    known = PLACEMENTS[family]
    given = gate.placement
    if given == ("default",):
        given = (_DEFAULT_PLACE[family],)
    elif given == ("both",) and len(known) == 2:
        given = known
    for place in given:
        one_of(place, known, "gate.placement")
    outside = [] if gate.stages == "all" else [s for s in gate.stages if s >= n_stages]
    require(not outside, "gate.stages", f"{outside} are beyond the last stage, {n_stages - 1}")
    return dataclasses.replace(gate, placement=tuple(p for p in known if p in given))


def _without_self(gate: Gate) -> Gate:
    """Return a gate that is an activation by another name under that name."""
    if gate.product == "self" and gate.activation in _SELF_AS_ACTIVATION:
        activation: Any = _SELF_AS_ACTIVATION[gate.activation]
        return dataclasses.replace(gate, product="none", activation=activation)
    return gate
