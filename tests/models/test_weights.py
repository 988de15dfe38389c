"""Initial weights: their distributions, and what two arms of one seed share."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from gmsearch.models import build
from gmsearch.models.weights import convolution_variance, draw_weights
from gmsearch.networks import PRODUCTS, Gate, GmNetSpec, TimmSpec

SHAPE = {"widths": (48, 64), "depths": (1, 1), "mlp_ratio": 4, "kernel_size": 3}


def state(candidate: GmNetSpec | TimmSpec, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the tensors of a freshly built network."""
    return build(candidate, num_classes=10, seed=seed).state_dict()


def test_release_keeps_the_default_of_pytorch() -> None:
    """`release` leaves convolutions uniform in 1/sqrt(fan in): sd 0.083 for 48 inputs."""
    drawn = state(GmNetSpec(**SHAPE))
    weight, bias = drawn["stages.0.1.f1.conv.weight"], drawn["stages.0.1.f1.conv.bias"]
    assert weight.std().item() == pytest.approx((3 * 48) ** -0.5, rel=0.02)
    assert weight.abs().max() <= 48**-0.5
    assert bias.std().item() == pytest.approx((3 * 48) ** -0.5, rel=0.1)
    assert drawn["stages.0.1.dwconv.conv.weight"].abs().max() <= 1 / 3


def test_timm_draws_a_narrow_normal() -> None:
    """`timm` gives every convolution's weight sd 0.02 and leaves its bias at the default."""
    drawn = state(GmNetSpec(**SHAPE, init="timm"))
    for name in ("stages.0.1.f1.conv", "stages.1.0.0.conv", "stages.1.1.g.conv"):
        assert drawn[f"{name}.weight"].std().item() == pytest.approx(0.02, rel=0.03), name
    bias = state(GmNetSpec(**SHAPE))["stages.0.1.f1.conv.bias"]
    assert torch.equal(drawn["stages.0.1.f1.conv.bias"], bias)


@pytest.mark.parametrize("init", ["release", "timm"])
def test_head_norms_and_scale_start_as_released(init: str) -> None:
    """The head is normal of sd 0.02 with zero bias, norms 1 and 0, the layer scale its start."""
    drawn = build(GmNetSpec(**SHAPE, init=init), num_classes=1000, seed=0).state_dict()
    assert drawn["head.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    assert not drawn["head.bias"].any()
    assert torch.equal(drawn["norm.weight"], torch.ones(64))
    assert not drawn["norm.bias"].any()
    assert torch.equal(drawn["stages.0.1.gamma"], torch.full((48,), 1e-6))


def test_variances_are_those_drawn() -> None:
    """`convolution_variance` states the variances that are drawn."""
    conv = nn.Conv2d(64, 4096, 1)
    for init in ("kaiming", "release", "timm"):
        draw_weights(conv, seed=0, init=init)
        weight, bias = convolution_variance(init, 64, 4096)
        assert conv.weight.var().item() == pytest.approx(weight, rel=0.03)
        assert conv.bias.var().item() == pytest.approx(bias, rel=0.1)


def test_arms_of_one_seed_share_their_tensors() -> None:
    """Whatever gate, depth or head two networks differ in, equal name and shape is one value."""
    arms = [GmNetSpec(**SHAPE, gate=Gate(product=product)) for product in PRODUCTS]
    arms += [
        GmNetSpec(**{**SHAPE, "depths": (2, 3)}),
        GmNetSpec(**SHAPE, stem="cifar", layer_scale=None),
        GmNetSpec(
            **SHAPE, gate=Gate(activation="gelu", product="dw", placement=("input", "output"))
        ),
    ]
    shared = 0
    for one, other in itertools.combinations([state(arm) for arm in arms], 2):
        for name in one.keys() & other.keys():
            if one[name].shape == other[name].shape:
                assert torch.equal(one[name], other[name]), name
                shared += 1
    assert shared > 30 * 45


def test_draw_depends_on_seed_and_name_only() -> None:
    """Other seeds and other names give other numbers; the order of construction does not count."""
    conv = nn.Conv2d(3, 8, 3)
    alone = nn.ModuleDict({"a": conv})
    draw_weights(alone, seed=0, init="release")
    kept = conv.weight.detach().clone()
    later = nn.ModuleDict({"b": nn.Conv2d(3, 8, 3), "a": nn.Conv2d(3, 8, 3)})
    draw_weights(later, seed=0, init="release")
    assert torch.equal(later["a"].weight, kept)
    assert not torch.equal(later["b"].weight, kept)
    draw_weights(later, seed=1, init="release")
    assert not torch.equal(later["a"].weight, kept)


@pytest.mark.parametrize(
    "candidate", [GmNetSpec(**SHAPE), TimmSpec(name="test_resnet")], ids=["gmnet", "timm"]
)
def test_build_is_a_function_of_the_seed(candidate: GmNetSpec | TimmSpec) -> None:
    """Building twice gives equal weights, another seed others, and global draws go undisturbed."""
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, again, other = state(candidate), state(candidate), state(candidate, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
