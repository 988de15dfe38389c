"""The gate h -> act(h) * phi in torch: activations, second factors, and the modules of a place.

A block holds two modules per place: one applies the first factor (`Ungated`, `Plain`, `Gated`),
the other computes the second one, phi, from the gated tensor h or from the tensor that the layer
before has read. The rows without torch are in `gmsearch.networks.gate`.
"""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from gmsearch.models.weights import Init, convolution_variance
from gmsearch.networks import (
    ACTIVATIONS,
    PRODUCTS,
    Gate,
    Site,
)
from gmsearch.tables import Table


class SquaredReLU(nn.Module):
    """relu(h)^2, the ReLU gate of a tensor with itself."""

    def forward(self, h: Tensor) -> Tensor:
        """Return the square of the positive part; any shape."""
        return F.relu(h).square()


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of each pixel, (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, h: Tensor) -> Tensor:
        """Return h normalised; a view and no copy where h is channels_last."""
        h = h.permute(0, 2, 3, 1)  # (N, H, W, C)
        # The parent's forward by another name: TorchScript knows no super().
        h = F.layer_norm(h, self.normalized_shape, self.weight, self.bias, self.eps)
        return h.permute(0, 3, 1, 2)


class OfTensor(nn.Sequential):
    """Second factor phi(h) of the gated tensor; without a layer it is h."""

    # One input more than the parent; a reason in the line would confuse TorchScript.
    def forward(self, h: Tensor, _source: Tensor) -> Tensor:  # type: ignore[override]
        """Return phi(h), of the shape of h."""
        for layer in self:
            h = layer(h)
        return h


class OfSource(nn.Sequential):
    """Second factor phi(source), from the tensor that the layer before the place reads."""

    def forward(self, _h: Tensor, source: Tensor) -> Tensor:  # type: ignore[override]
        """Return phi(source), of the shape of h."""
        for layer in self:
            source = layer(source)
        return source


class Ungated(nn.Module):
    """A place without gate and without activation."""

    def forward(self, h: Tensor, _phi: Tensor) -> Tensor:
        """Return h as it is."""
        return h


class Plain(nn.Module):
    """A place with the activation alone."""

    def __init__(self, act: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.act = act
        self.scale = scale

    def forward(self, h: Tensor, _phi: Tensor) -> Tensor:
        """Return act(h)."""
        y: Tensor = self.scale(self.act(h))
        return y


class Gated(nn.Module):
    """A place with the gate."""

    def __init__(self, act: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.act = act
        self.scale = scale

    def forward(self, h: Tensor, phi: Tensor) -> Tensor:
        """Return act(h) * phi."""
        y: Tensor = self.scale(self.act(h) * phi)
        return y


class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, y: Tensor) -> Tensor:
        """Return y times the constant."""
        return y * self.factor


class Moments(NamedTuple):
    """Moments of phi = a z + r, z standard normal and r independent of it.

    They are over the input and the initial weights.
    """

    mean_a: float
    """E[a]."""
    square_a: float
    """E[a^2]."""
    variance_r: float
    """Var[r]; the mean of r is 0."""


_IDENTITY = Moments(1.0, 1.0, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SecondFactor:
    """A second factor in torch."""

    layers: Callable[[Site], dict[str, nn.Module]]
    """Its layers by name, which are applied in their order; none for h itself."""
    moments: Callable[[Site, Init], Moments] | None
    """Moments for `gain: unit_variance`, away from the border; None for the factor 1."""


def _layer_norm(site: Site) -> dict[str, nn.Module]:
    return {"norm": LayerNorm2d(site.width)}


def _depthwise(site: Site) -> dict[str, nn.Module]:
    width, kernel_size = site.width, site.kernel_size
    return {"dwconv": nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)}


def _pointwise(site: Site) -> dict[str, nn.Module]:
    return {"fc": nn.Conv2d(site.width, site.width, 1)}


def _expansion(site: Site) -> dict[str, nn.Module]:
    return {"conv": nn.Conv2d(site.source_width, site.width, 1, site.stride)}


def _pool(site: Site) -> dict[str, nn.Module]:
    # Averages over the real pixels only, so that the border is not darkened.
    padding = site.kernel_size // 2
    return {"pool": nn.AvgPool2d(site.kernel_size, 1, padding, count_include_pad=False)}


def _depthwise_moments(site: Site, init: Init) -> Moments:
    fan = site.kernel_size**2
    weight, bias = convolution_variance(init, fan, fan)
    return Moments(0.0, weight, (fan - 1) * weight + bias)


def _pointwise_moments(site: Site, init: Init) -> Moments:
    weight, bias = convolution_variance(init, site.width, site.width)
    return Moments(0.0, weight, (site.width - 1) * weight + bias)


def _expansion_moments(site: Site, init: Init) -> Moments:
    weight, bias = convolution_variance(init, site.source_width, site.width)
    return Moments(0.0, 0.0, site.source_width * weight + bias)


def _pool_moments(site: Site, _init: Init) -> Moments:
    window = site.kernel_size**2
    return Moments(1 / window, 1 / window**2, (window - 1) / window**2)


MODULES: Table[Callable[[], nn.Module]] = Table(
    "activation",
    {
        "identity": nn.Identity,
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "leaky_relu": nn.LeakyReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "hardswish": nn.Hardswish,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "softplus": nn.Softplus,
        "mish": nn.Mish,
        "squared_relu": SquaredReLU,
    },
)
"""Built-in activations in torch."""
FACTORS = Table(
    "product",
    {
        "none": SecondFactor(layers=lambda _site: {}, moments=None),
        "self": SecondFactor(layers=lambda _site: {}, moments=lambda _site, _init: _IDENTITY),
        "ln": SecondFactor(layers=_layer_norm, moments=lambda _site, _init: _IDENTITY),
        "dw": SecondFactor(layers=_depthwise, moments=_depthwise_moments),
        "fc": SecondFactor(layers=_pointwise, moments=_pointwise_moments),
        "split": SecondFactor(layers=_expansion, moments=_expansion_moments),
        "pool": SecondFactor(layers=_pool, moments=_pool_moments),
    },
)
"""Built-in second factors in torch; every convolution has a bias and no norm after it."""


_FACTOR_OF: dict[str, Callable[[OrderedDict[str, nn.Module]], nn.Module]] = {
    "tensor": OfTensor,
    "source": OfSource,
}


def build_activation(name: str) -> nn.Module:
    """Return an activation, built-in or a plugin's."""
    module: nn.Module = (ACTIVATIONS[name].build or MODULES[name])()
    return module


class GatedSpec(Protocol):
    """What a place reads of the spec of its network."""

    @property
    def gate(self) -> Gate:
        """The gate of its blocks."""

    @property
    def init(self) -> Init:
        """How its weights are drawn."""

    @property
    def gain(self) -> str:
        """`unit_variance` where outputs are scaled, else `none`."""


def place_modules(
    network: GatedSpec,
    stage: int,
    place: str,
    *,
    own: str,
    site: Site,
) -> tuple[nn.Module, nn.Module]:
    """Return first and second factor of a place; without a gate the first is `own` alone."""
    gate = network.gate
    if place not in gate.placement:
        gate = Gate(product="none", activation=own)
    product = gate.product_in(stage)
    unit_variance = network.init if network.gain == "unit_variance" else None
    return (
        first_factor(product, gate, site, unit_variance=unit_variance),
        second_factor(product, site),
    )


def first_factor(product: str, gate: Gate, site: Site, *, unit_variance: Init | None) -> nn.Module:
    """Return the first factor of a place.

    `unit_variance` is the init of the weights for which its output is scaled; None for no scale.
    """
    scale: nn.Module = nn.Identity()
    if unit_variance is not None:
        scale = Scale(gain(product, gate.activation, site, unit_variance))
    kind = Plain if product == "none" else Gated
    return kind(build_activation(gate.activation), scale)


def second_factor(product: str, site: Site) -> nn.Module:
    """Return the second factor phi of a place; that of `none` is h, which costs nothing."""
    row = PRODUCTS[product]
    layers = FACTORS[product].layers(site) if row.build is None else {"layer": row.build(site)}
    return _FACTOR_OF[row.reads](OrderedDict(layers))


def gain(product: str, activation: str, site: Site, init: Init) -> float:
    """Return 1/sd of act(z) * phi for z standard normal, independent over pixels and channels.

    Variances are over the input and the initial weights, away from the border.
    """
    act, act2, act_z, act2_z2 = _moments(activation, ACTIVATIONS[activation].source)
    moments = FACTORS[product].moments
    if moments is None:
        return 1 / math.sqrt(act2 - act**2)
    mean_a, square_a, variance_r = moments(site, init)
    variance = square_a * act2_z2 + variance_r * act2 - (mean_a * act_z) ** 2
    return 1 / math.sqrt(variance)


@cache
def _moments(name: str, _source: str | None) -> tuple[float, float, float, float]:
    """Return E[s], E[s^2], E[s z], E[s^2 z^2] of s = act(z), z standard normal, to 1e-7.

    The file that defines the activation is part of the key of the cache.
    """
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    density /= density.sum()
    s = build_activation(name)(z)

    def mean(values: Tensor) -> float:
        return float((values * density).sum())

    return mean(s), mean(s**2), mean(s * z), mean((s * z) ** 2)
