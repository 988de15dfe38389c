"""Initial weights, drawn per tensor from the trial's seed and the parameter's name.

No draw depends on another, so two networks of one seed agree in every tensor that they share by
name, shape and fan in (which sets the range), whatever their other layers are. The global
generator is not used.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from gmsearch.seeds import derive_seed

Init = Literal["kaiming", "release", "timm"]
_TRUNCATED_SD = 0.02


def draw_weights(model: nn.Module, *, seed: int, init: Init) -> None:
    """Draw every convolution and linear layer of `model` in place.

    Convolutions: `release` is PyTorch's default, U(-b, b) with b = 1/sqrt(fan in), for weight
    and bias. (The official code intends another init, but its type test holds for linear layers
    only.) `timm` draws the weight from a normal of sd 0.02 truncated at +-2, as timm's StarNet
    does, and the bias as above. `kaiming` draws the weight from a normal of variance 2 / fan out,
    the fan of one group, as timm's ResNet and MobileNetV2 do, with a zero bias.
    Linear layers: the normal of `timm` and a zero bias, for every init. Norms and the layer scale
    keep the constants that they are constructed with.
    """
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        weight = module.weight
        fan_in = weight[0].numel()
        if isinstance(module, nn.Linear) or init == "timm":
            nn.init.trunc_normal_(
                weight, std=_TRUNCATED_SD, generator=_generator(seed, f"{name}.weight")
            )
        elif init == "kaiming":
            fan_out = weight.numel() // module.in_channels
            generator = _generator(seed, f"{name}.weight")
            nn.init.normal_(weight, std=math.sqrt(2 / fan_out), generator=generator)
        else:
            _uniform(weight, fan_in**-0.5, seed, f"{name}.weight")
        if module.bias is None:
            continue
        if isinstance(module, nn.Linear) or init == "kaiming":
            nn.init.zeros_(module.bias)
        else:
            _uniform(module.bias, fan_in**-0.5, seed, f"{name}.bias")


def convolution_variance(init: Init, fan_in: int, fan_out: int) -> tuple[float, float]:
    """Return the variances of a convolution's weights and biases as `draw_weights` draws them.

    Both fans are of one group.
    """
    if init == "kaiming":
        return 2 / fan_out, 0.0
    uniform = 1 / (3 * fan_in)
    return (_TRUNCATED_SD**2 if init == "timm" else uniform), uniform


def _uniform(tensor: Tensor, bound: float, seed: int, name: str) -> None:
    nn.init.uniform_(tensor, -bound, bound, generator=_generator(seed, name))


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, name))
