"""The gate of a block: activations and products by name, and the gate as plain data.

How torch computes the rows of the two tables is in `gmsearch.models.gate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

from gmsearch.limits import Length, Natural, OddKernel, OneOf, assign, check, normalise
from gmsearch.networks.count import PartCost, part
from gmsearch.networks.layers import conv, pool
from gmsearch.tables import Table

_KERNEL_SIZE = 3


class Site(NamedTuple):
    """Shapes at one place in a block."""

    width: int
    """Channels of the gated tensor."""
    source_width: int
    """Channels of the tensor that the layer before the place reads."""
    kernel_size: int
    """Kernel of the second factor."""
    stride: int = 1
    """Stride of the layer before the place."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ActivationRow:
    """An activation without torch."""

    text: str
    steps: int | None = 1
    """Elementwise operations per element; None where they are measured."""
    times_self: str | None = None
    """The activation h -> activation(h) * h, where it has a name of its own."""
    build: Callable[[], Any] | None = None
    """Constructor of a plugin's torch module; None for ours."""
    source: str | None = None
    """SHA-256 of the plugin file that defines it; None for ours."""

    @property
    def is_counted(self) -> bool:
        """Whether its cost is known without running it."""
        return self.steps is not None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ProductRow:
    """A second factor phi without torch."""

    text: str
    count: Callable[[Site, int], PartCost] | None
    """Cost of phi at a site whose map has so many pixels a side, without the multiplication by
    it; None where it is measured."""
    kernel: bool = False
    """Whether phi has a kernel, of `Gate.kernel_size`."""
    reads: Literal["tensor", "source"] = "tensor"
    """What phi is computed from: the gated tensor, or the one that the layer before reads."""
    has_moments: bool = True
    """Whether the moments of phi are known, as `gain: unit_variance` requires."""
    build: Callable[[Site], Any] | None = None
    """Constructor of a plugin's torch module; None for ours."""
    source: str | None = None
    """SHA-256 of the plugin file that defines it; None for ours."""

    @property
    def is_counted(self) -> bool:
        """Whether its cost is known without running it."""
        return self.count is not None


def _free(_site: Site, _side: int) -> PartCost:
    return PartCost()


def _layer_norm(site: Site, side: int) -> PartCost:
    return part("norm", params=2 * site.width, flops=5 * site.width * side**2)


def _depthwise(site: Site, side: int) -> PartCost:
    return conv(site.width, site.width, site.kernel_size, side, site.width)


def _pointwise(site: Site, side: int) -> PartCost:
    return conv(site.width, site.width, 1, side)


def _expansion(site: Site, side: int) -> PartCost:
    return conv(site.source_width, site.width, 1, side)


def _pool(site: Site, side: int) -> PartCost:
    return pool(site.width, site.kernel_size, side)


ACTIVATIONS = Table(
    "activation",
    {
        "identity": ActivationRow(text="h", steps=0),
        "relu": ActivationRow(text="max(h, 0)", times_self="squared_relu"),
        "relu6": ActivationRow(text="min(max(h, 0), 6)"),
        "leaky_relu": ActivationRow(text="h, times 0.01 where negative"),
        "gelu": ActivationRow(text="h times the normal distribution function of h"),
        "silu": ActivationRow(text="h times sigmoid(h)"),
        "hardswish": ActivationRow(text="h times min(max(h + 3, 0), 6) / 6"),
        "sigmoid": ActivationRow(text="1 / (1 + exp(-h))", times_self="silu"),
        "tanh": ActivationRow(text="tanh(h)"),
        "softplus": ActivationRow(text="log(1 + exp(h))"),
        "mish": ActivationRow(text="h times tanh(softplus(h))"),
        "squared_relu": ActivationRow(text="max(h, 0) squared", steps=2),
    },
)
PRODUCTS = Table(
    "product",
    {
        "none": ProductRow(text="1, the plain activation", count=_free),
        "self": ProductRow(text="h", count=_free),
        "ln": ProductRow(text="LayerNorm of h over the channels", count=_layer_norm),
        "dw": ProductRow(text="depthwise convolution of h", count=_depthwise, kernel=True),
        "fc": ProductRow(text="1x1 convolution of h, with bias", count=_pointwise),
        "split": ProductRow(
            text="second 1x1 convolution of the tensor that the layer before reads",
            count=_expansion,
            reads="source",
        ),
        "pool": ProductRow(text="average pooling of h", count=_pool, kernel=True),
    },
)
_PLACEMENT_TABLE: Table[str] = Table(
    "placement",
    {
        "input": "gmnet: after the first depthwise convolution",
        "expand": "gmnet and mobilenetv2: on the expanded tensor",
        "output": "gmnet: before the second depthwise convolution",
        "inner": "resnet18: after the first norm",
        "outer": "resnet18: after the residual sum",
        "depthwise": "mobilenetv2: after the depthwise convolution",
        "both": "the two places of a resnet18 or mobilenetv2",
        "default": "expand in gmnet and mobilenetv2, inner in resnet18",
    },
)

Activation = Annotated[str, OneOf(ACTIVATIONS)]
Product = Annotated[str, OneOf(PRODUCTS)]
Placement = Annotated[str, OneOf(_PLACEMENT_TABLE)]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """The gate h -> activation(h) * phi(h) of every block; `product` names phi."""

    product: Product = "self"
    """Second factor phi."""

    activation: Activation = "relu6"
    """First factor; also the plain activation where a block has no product."""

    placement: Annotated[tuple[Placement, ...], Length(least=1)] = ("default",)
    """Where in the block; each family has places of its own."""

    stages: Literal["all"] | tuple[Natural, ...] = "all"
    """Indices of the gated stages, from 0; the others have the plain activation."""

    kernel_size: OddKernel = _KERNEL_SIZE
    """Kernel of a second factor that has one, odd."""

    def __post_init__(self) -> None:
        """Check the values and bring them to canonical form, as far as one gate alone can."""
        normalise(self)
        check(self)
        stages = self.stages if self.stages == "all" else tuple(sorted(set(self.stages)))
        product = self.product if stages else "none"
        assign(
            self,
            product=product,
            stages="all" if product == "none" else stages,
            kernel_size=self.kernel_size if PRODUCTS[product].kernel else _KERNEL_SIZE,
        )

    def product_in(self, stage: int) -> str:
        """Return the product in the blocks of one stage; `none` where they are not gated."""
        return self.product if self.stages == "all" or stage in self.stages else "none"

    def kernel_in(self, stage: int) -> int | None:
        """Return the kernel of the second factor in one stage; None where it has none."""
        return self.kernel_size if PRODUCTS[self.product_in(stage)].kernel else None

    def rows(self) -> Iterator[tuple[str, ActivationRow | ProductRow]]:
        """Yield the two rows of the gate under `activation:NAME` and `product:NAME`."""
        yield f"activation:{self.activation}", ACTIVATIONS[self.activation]
        yield f"product:{self.product}", PRODUCTS[self.product]
