"""Shares of pre-activations below 0 and above 6."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gmsearch.models import activation_regimes, build
from gmsearch.networks import Gate, GmNetSpec


def test_shares_are_those_put_there() -> None:
    """Pre-activations set by hand are counted exactly, each activation weighing the same."""
    gate = Gate(placement=("input", "expand"))
    model = build(
        GmNetSpec(widths=(4,), depths=(1,), mlp_ratio=2, gate=gate), num_classes=2, seed=0
    )
    block = model.stages[0][1]
    with torch.no_grad():
        block.dwconv.bn.weight.zero_()
        block.dwconv.bn.bias.copy_(torch.tensor([-1.0, 6.0, 6.5, 9.0]))  # 1/4 below, 2/4 above
        block.f1.conv.weight.zero_()
        block.f1.conv.bias.copy_(torch.tensor([-1.0, -2, -3, -4, 0, 3, 7, 5]))  # 4/8 and 1/8
    shares = activation_regimes(model, torch.randn(2, 3, 8, 8))
    assert shares == pytest.approx({"share_below_0": 0.375, "share_above_6": 0.3125})


@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_it_was(training: bool) -> None:  # noqa: FBT001 - parametrised
    """Measuring changes no tensor, mode or later output, and leaves no hook."""
    model = build(GmNetSpec(widths=(4,), depths=(2,)), num_classes=2, seed=0).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    activation_regimes(model, torch.randn(2, 3, 8, 8))
    assert model.training is training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_other_networks_are_not_measured() -> None:
    """A network without gates or activations of ours has no shares, rather than zeros."""
    assert activation_regimes(nn.Sequential(nn.ReLU6()), torch.zeros(1, 3, 2, 2)) == {}
