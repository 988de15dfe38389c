"""Where the pre-activations of a network lie: the shares below 0 and above 6.

ReLU and ReLU6 are one function where nothing exceeds 6, and a gate with either is half linear
where half its inputs are negative; these two numbers tell which regime a network is in.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gmsearch.models.gate import Gated, Plain


@torch.no_grad()
def activation_regimes(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Return `share_below_0` and `share_above_6` of what the blocks' activations are given.

    Both are means over the gated and plain activations of all blocks, each counted equally
    whatever its size. The stem's activation is left out. The forward is in eval mode.

    Args:
        model: A network of ours; for any other the answer is empty, nothing being measured.

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
