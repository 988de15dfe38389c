"""The gate h -> act(h) * phi: activations, second factors, and what stands at each place.

A block holds one pair per place: what applies the first factor (`Ungated`, `Plain`, `Gated`) and
what computes the second one, phi, from the gated tensor h or from the tensor h was computed from.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from gmsearch.models.weights import Init, convolution_variance
from gmsearch.networks import Activation, Gate, MobileNetV2Spec, Placement, Product, ResNet18Spec


class SquaredReLU(nn.Module):
    """relu(h)^2, which is what a ReLU gate of a tensor with itself computes."""

    def forward(self, h: Tensor) -> Tensor:
        """Return the square of the positive part; any shape."""
        return F.relu(h).square()


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
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
}


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
    """Second factor computed beside h, from the tensor h was computed from."""

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


def placed(
    candidate: ResNet18Spec | MobileNetV2Spec,
    stage: int,
    place: Placement,
    *,
    own: Activation,
    width: int,
    source_width: int,
    stride: int = 1,
) -> tuple[nn.Module, nn.Module]:
    """Return first and second factor at one place; the family's own activation at no gate's."""
    gate = candidate.gate
    if place not in gate.placement:
        gate = Gate(product="none", activation=own)
    product = gate.product_in(stage)
    second = second_factor(product, gate, width=width, source_width=source_width, stride=stride)
    first = first_factor(
        product,
        gate,
        width=width,
        source_width=source_width,
        unit_variance=candidate.init if candidate.gain == "unit_variance" else None,
    )
    return first, second


def first_factor(
    product: Product, gate: Gate, *, width: int, source_width: int, unit_variance: Init | None
) -> nn.Module:
    """Return what applies act(h) at one place; `unit_variance` names the init it is scaled for."""
    scale: nn.Module = nn.Identity()
    if unit_variance is not None:
        fan_in = {"dw": gate.kernel_size**2, "fc": width, "split": source_width}.get(product, 1)
        fan_out = fan_in if product == "dw" else width
        scale = Scale(gain(product, gate, fan_in=fan_in, fan_out=fan_out, init=unit_variance))
    kind = Plain if product == "none" else Gated
    return kind(ACTIVATIONS[gate.activation](), scale)


def second_factor(
    product: Product, gate: Gate, *, width: int, source_width: int, stride: int = 1
) -> nn.Module:
    """Return the second factor phi at one place; `none` has the one of `self`, which is free.

    Average pooling keeps the size and averages over the real pixels only, so that the border is
    not darkened. Every convolution has a bias and no norm after it; `stride` is that of the layer
    before the place, for `split`.
    """
    kernel_size = gate.kernel_size
    padding = kernel_size // 2
    if product == "split":
        return OfSource(OrderedDict(conv=nn.Conv2d(source_width, width, 1, stride)))
    if product == "ln":
        return OfTensor(OrderedDict(norm=LayerNorm2d(width)))
    if product == "dw":
        dwconv = nn.Conv2d(width, width, kernel_size, padding=padding, groups=width)
        return OfTensor(OrderedDict(dwconv=dwconv))
    if product == "fc":
        return OfTensor(OrderedDict(fc=nn.Conv2d(width, width, 1)))
    if product == "pool":
        pool = nn.AvgPool2d(kernel_size, 1, padding, count_include_pad=False)
        return OfTensor(OrderedDict(pool=pool))
    return OfTensor()


def gain(product: Product, gate: Gate, *, fan_in: int, fan_out: int, init: Init) -> float:
    """Return 1/sd of act(z) * phi for z standard normal, independent over pixels and channels.

    Every second factor is phi = a z + r with r independent of z: `self` and `ln` (of many
    channels) have a = 1, `pool` a = 1/k^2, and a convolution has random a and r, whose second
    moments follow from its initialisation with these fans. Variances are over the input and
    the initial weights, away from the border.
    """
    act, act2, act_z, act2_z2 = _moments(gate.activation)
    window = gate.kernel_size**2
    weight, bias = convolution_variance(init, fan_in, fan_out)
    if product == "none":
        return 1 / math.sqrt(act2 - act**2)
    mean_a, mean_a2, variance_r = {
        "self": (1.0, 1.0, 0.0),
        "ln": (1.0, 1.0, 0.0),
        "pool": (1 / window, 1 / window**2, (window - 1) / window**2),
        "dw": (0.0, weight, (fan_in - 1) * weight + bias),
        "fc": (0.0, weight, (fan_in - 1) * weight + bias),
        "split": (0.0, 0.0, fan_in * weight + bias),
    }[product]
    variance = mean_a2 * act2_z2 + variance_r * act2 - (mean_a * act_z) ** 2
    return 1 / math.sqrt(variance)


@cache
def _moments(activation: str) -> tuple[float, float, float, float]:
    """Return E[s], E[s^2], E[s z], E[s^2 z^2] of s = act(z), z standard normal, to 1e-7."""
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    density /= density.sum()
    s = ACTIVATIONS[activation]()(z)

    def mean(values: Tensor) -> float:
        return float((values * density).sum())

    return mean(s), mean(s**2), mean(s * z), mean((s * z) ** 2)
