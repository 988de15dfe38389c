"""Counting a network by running it: by hand, and on models of timm."""

from __future__ import annotations

import warnings

import pytest
import timm
import torch
from torch import nn

from gmsearch.errors import FieldError
from gmsearch.measured_cost import measured_cost
from gmsearch.models import build
from gmsearch.networks import Cost, TimmSpec

# PyTorch's and timm's own.
ACTIVATIONS = {"ReLU", "ReLU6", "GELU", "SiLU", "Hardswish", "Hardsigmoid", "Sigmoid"}


def test_small_network_by_hand() -> None:
    """Convolution, norm, activations in place and not, pools and softmax are counted as stated."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.Hardswish(inplace=True),
        nn.ReLU6(),
        nn.MaxPool2d(3, 2, 1),
        nn.AvgPool2d((2, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.Softmax(1),
    )
    counted, unknown = measured_cost(model, 8)
    pooled = 4 * 4 * 4
    assert counted == Cost(
        params=3 * 4 * 9 + 8 + 20 + 5,
        flops=3 * 4 * 9 * 64 + 2 * 4 * 64 + pooled // 2 + 20,
        elementwise_ops=2 * 4 * 64 + 9 * pooled + 2 * pooled // 2,
        activation_elements=2 * 4 * 64 + pooled + pooled // 2,
    )
    assert unknown == {"aten::softmax": 1}


def test_frozen_parameters_are_not_counted() -> None:
    """`params` counts what is trained."""
    model = nn.Sequential(
        nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1).requires_grad_(requires_grad=False)
    )
    assert measured_cost(model, 2)[0].params == 8


def test_copies_are_not_work() -> None:
    """Moving data counts nothing, by any name PyTorch gives it."""

    class Moves(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            moved = x.clone().permute(0, 2, 3, 1).contiguous()
            return nn.functional.pad(moved[..., :1].expand_as(moved), (1, 1, 1, 1), mode="reflect")

    counted, unknown = measured_cost(Moves(), 3)
    assert counted == Cost(params=0, flops=0, elementwise_ops=0, activation_elements=0)
    assert unknown == {}


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [("mobilenetv3_small_100", 2_542_856, 59_364_160), ("starnet_s1", 2_869_168, 424_608_832)],
)
def test_timm_models(name: str, params: int, macs: int) -> None:
    """Models of timm have the parameters and fvcore total known for them at 224 pixels."""
    model = build(TimmSpec(name=name), num_classes=1000, seed=0)
    counted, unknown = measured_cost(model, 224)
    assert (counted.params, counted.flops) == (params, macs)
    assert 0 < counted.activation_elements <= counted.elementwise_ops
    assert unknown.keys() <= {"aten::mean"}


# With the smallest image that keeps a test short, or the only one a model takes.
TIMM_MODELS = {
    "mobilenetv3_small_100": 64,
    "mobilenetv4_conv_small": 64,
    "repvit_m1_0": 64,
    "starnet_s1": 64,
    "starnet_s4": 64,
    "resnet18": 64,
    "mobilenetv2_050": 64,
    "efficientnet_lite0": 64,
    "convnext_atto": 64,
    "deit_tiny_patch16_224": 224,
    "levit_128s": 224,
    "mobileone_s0": 64,
    "fasternet_t0": 64,
    "edgenext_xx_small": 64,
    "ghostnet_100": 64,
    "regnetx_002": 64,
    "mnasnet_small": 64,
    "mobilevitv2_050": 64,
    "efficientformerv2_s0": 224,
    "poolformer_s12": 64,
}
# They also apply functions, to positions or between the products of attention.
BESIDE_MODULES = {"edgenext_xx_small", "mobilevitv2_050"}
# Operators that no count has, by their names in a trace.
NAMED = {"aten::softmax", "aten::mean", "aten::sum", "aten::cumsum", "aten::linalg_vector_norm"}


@pytest.mark.parametrize("name", TIMM_MODELS)
def test_twenty_timm_models(name: str) -> None:
    """Flops are fvcore's total; parameters, element-wise work and kinds add up; the rest is named.

    fvcore is used as its documentation says, and element-wise modules are counted by hooks.
    """
    size = TIMM_MODELS[name]
    # The fused kernel of attention is an operator fvcore does not know.
    model = timm.create_model(name).eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    counted, unknown = measured_cost(model, size)
    image = torch.zeros(1, 3, size, size)
    activated = 0

    def count(_module: nn.Module, _inputs: object, written: torch.Tensor) -> None:
        nonlocal activated
        activated += written.numel()

    acts = [m for m in model.modules() if type(m).__name__ in ACTIVATIONS]
    hooks = [module.register_forward_hook(count) for module in acts]
    with torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        total = FlopCountAnalysis(model, image).total()
    assert counted.flops == total
    assert counted.params == sum(p.numel() for p in model.parameters())
    by_kind = counted.by_kind()
    sums = tuple(map(sum, zip(*by_kind.values(), strict=True)))
    assert sums == tuple(counted.metrics().values())
    written = by_kind["activation"].activation_elements
    assert written > activated > 0 if name in BESIDE_MODULES else written == activated > 0
    assert unknown.keys() <= NAMED


def test_attention_is_unfused() -> None:
    """The products inside attention are in the flops: 2 per token pair, channel and block."""
    model = build(TimmSpec(name="test_vit"), num_classes=10, seed=0)
    counted, unknown = measured_cost(model, 160)
    assert unknown.keys() == {"aten::softmax"}
    linear = sum(
        module.weight.numel() for module in model.blocks.modules() if isinstance(module, nn.Linear)
    )
    tokens, width, depth = 101, 64, len(model.blocks)
    model.blocks = nn.Sequential()
    rest = measured_cost(model, 160)[0].flops
    norms, products = 2 * 5 * tokens * width, 2 * tokens**2 * width
    assert counted.flops - rest == tokens * linear + depth * (norms + products)


def test_model_is_left_as_it_was() -> None:
    """Counting changes neither mode nor buffers nor the attention of the model given."""
    model = timm.create_model("test_vit").train()
    fused = [m.fused_attn for m in model.modules() if hasattr(m, "fused_attn")]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured_cost(model, 160)
    assert all(module.training for module in model.modules())
    assert [m.fused_attn for m in model.modules() if hasattr(m, "fused_attn")] == fused
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_size_a_model_does_not_take() -> None:
    """A model made for one size refuses another by the name of the field."""
    model = build(TimmSpec(name="vit_tiny_patch16_224"), num_classes=2, seed=0)
    message = r"does not take 32 pixels \(.*\); set the resolution to 224, or take another model"
    with pytest.raises(FieldError, match=message) as caught:
        measured_cost(model, 32)
    assert "\n" not in str(caught.value)
    assert caught.value.path == "resolution"
