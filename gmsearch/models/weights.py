"""Initial weights, drawn tensor by tensor from the trial's seed and the parameter's name.

No draw depends on another, so two networks of one seed agree in every tensor they share by name,
shape and fan in (which sets the range), whatever else they are made of. The global generator is
not used.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["release", "timm"]
_TRUNCATED_SD = 0.02


def draw_weights(model: nn.Module, *, seed: int, init: Init) -> None:
    """Draw every convolution and linear layer of `model` in place.

    Convolutions: `release` keeps PyTorch's default, U(-b, b) with b = 1/sqrt(fan in), for weight
    and bias. The official code means to do otherwise, but its type test is true for linear
    layers only. `timm` draws the weight from a normal of sd 0.02 cut at +-2, as timm's StarNet
    does, and leaves the bias as above. Linear layers: that normal, and a zero bias, in both.
    Norms and the layer scale keep the constants they were made with.
    """
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        weight = module.weight
        bound = weight[0].numel() ** -0.5
        if isinstance(module, nn.Linear) or init == "timm":
            nn.init.trunc_normal_(
                weight, std=_TRUNCATED_SD, generator=_generator(seed, f"{name}.weight")
            )
        else:
            _uniform(weight, bound, seed, f"{name}.weight")
        if module.bias is None:
            continue
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        else:
            _uniform(module.bias, bound, seed, f"{name}.bias")


def convolution_variance(init: Init, fan_in: int) -> tuple[float, float]:
    """Return the variances of a convolution's weights and biases as `draw_weights` draws them."""
    uniform = 1 / (3 * fan_in)
    return (_TRUNCATED_SD**2 if init == "timm" else uniform), uniform


def _uniform(tensor: Tensor, bound: float, seed: int, name: str) -> None:
    nn.init.uniform_(tensor, -bound, bound, generator=_generator(seed, name))


def _generator(seed: int, name: str) -> torch.Generator:
    hashed = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(hashed[:8], "big") >> 1)
