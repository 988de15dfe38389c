"""Shares of the pre-activations of a network below 0 and above 6.

ReLU and ReLU6 are the same function where nothing exceeds 6, and a gate with either is zero for
half its inputs where half of them are negative; the two numbers show the regime of a network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gmsearch.models.gate import Gated, Plain


@torch.no_grad()
def activation_regimes(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Return `share_below_0` and `share_above_6` of the inputs of the blocks' activations.

    Both are means over the gated and plain activations of all blocks, each of equal weight
    whatever its size. The stem's activation is left out. The forward pass is in eval mode.

    Args:
        model: A built-in network; an empty dict is returned for any other.

        x: Normalised images (N, C, H, W) on the model's device.
    """
    places = [module for module in model.modules() if isinstance(module, (Plain, Gated))]
    if not places:
        return {}
    below: list[float] = []
    above: list[float] = []

    def look(_act: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        below.append(float((inputs[0] < 0).float().mean()))
        above.append(float((inputs[0] > 6).float().mean()))

    training = model.training
    hooks = [place.act.register_forward_pre_hook(look) for place in places]
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return {
        "share_below_0": sum(below) / len(below),
        "share_above_6": sum(above) / len(above),
    }
