"""ResNet-18 and MobileNetV2 against timm's, and every gate in them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from gmsearch.measured_cost import measured_cost
from gmsearch.models import build
from gmsearch.models.gate import FACTORS, MODULES, Scale
from gmsearch.networks import ACTIVATIONS, PLACEMENTS, PRODUCTS, candidate_from

TINY: dict[str, dict[str, Any]] = {
    "resnet18": {
        "family": "resnet18",
        "widths": [4, 6],
        "depths": [1, 1],
        "stem": "cifar",
        "stem_width": 4,
    },
    "mobilenetv2": {
        "family": "mobilenetv2",
        "widths": [4, 4, 6, 4, 4, 4, 4],
        "depths": [1] * 7,
        "mlp_ratio": [1, 2, 1, 1, 1, 1, 1],
        "stem": "cifar",
        "stem_width": 4,
        "head_width": 8,
    },
}
PAIRS = [("res18", "resnet18"), ("mobilenetv2", "mobilenetv2_100")]
PLACES = [
    (family, places)
    for family in TINY
    for places in ([PLACEMENTS[family][0]], [PLACEMENTS[family][1]], "both")
]


def images(*shape: int) -> Tensor:
    """Return standard normal images."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def unsettled(model: nn.Module) -> nn.Module:
    """Return a network in eval mode with batch norms that matter."""
    generator = torch.Generator().manual_seed(1)
    for module in model.eval().modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
    return model


@pytest.mark.parametrize(("preset", "name"), PAIRS)
def test_outputs_and_cost_are_those_of_timm(preset: str, name: str) -> None:
    """On timm's weights the network gives timm's outputs and maps, at fvcore's same flops."""
    theirs = unsettled(timm.create_model(name, num_classes=10))
    ours = build(candidate_from({"preset": preset}), num_classes=10, seed=0).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = images(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-6, atol=1e-6)
        _, maps = ours.forward_intermediates(x)
        _, expected = theirs.forward_intermediates(x)
        assert len(maps) == len(expected) == 5
        for map_, other in zip(maps, expected, strict=True):
            torch.testing.assert_close(map_, other, rtol=1e-6, atol=1e-6)
    (one, _), (other, _) = (measured_cost(model, 64) for model in (ours, theirs))
    assert (one.params, one.flops) == (other.params, other.flops)


def test_cifar_stems_keep_the_map() -> None:
    """The CIFAR stem of either family works at full size; a ResNet has no pool then."""
    for preset, maps in (("res18", [32, 32, 16, 8, 4]), ("mobilenetv2", [32, 16, 8, 4])):
        model = build(candidate_from({"preset": preset, "stem": "cifar"}), num_classes=2, seed=0)
        with torch.no_grad():
            _, found = model.eval().forward_intermediates(images(1, 3, 32, 32))
        assert [m.shape[-1] for m in found] == maps
        assert [32 // info["reduction"] for info in model.feature_info] == maps


def test_no_image_is_too_small() -> None:
    """Every family takes an image of one pixel, of odd sides and of other sides than square."""
    for tree in ({"widths": [4, 4], "depths": [1, 1]}, *TINY.values()):
        model = build(candidate_from({**tree, "stem": "imagenet"}), num_classes=2, seed=0).eval()
        for shape in ((1, 3, 1, 1), (1, 3, 7, 3)):
            assert model(images(*shape)).isfinite().all()


def second(product: str, weights: dict[str, Tensor], name: str, h: Tensor, source: Tensor) -> Any:
    """Return the second factor, written out; `split` strides as its output demands."""
    if product == "none":
        return 1
    if product == "self":
        return h
    if product == "ln":
        scale, shift = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
        return F.layer_norm(h.movedim(1, -1), scale.shape, scale, shift, 1e-6).movedim(-1, 1)
    if product == "pool":
        return F.avg_pool2d(h, 3, 1, 1, count_include_pad=False)
    layer = {"dw": "dwconv", "fc": "fc", "split": "conv"}[product]
    weight, bias = weights[f"{name}.{layer}.weight"], weights[f"{name}.{layer}.bias"]
    if product == "split":
        return F.conv2d(source, weight, bias, stride=source.shape[-1] // h.shape[-1])
    groups = h.shape[1] if product == "dw" else 1
    return F.conv2d(h, weight, bias, padding=weight.shape[-1] // 2, groups=groups)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("family", "places"), PLACES, ids=str)
def test_blocks_are_the_formula(family: str, places: Any, product: str) -> None:
    """At the places named stands act(h) * phi, in the stages named, elsewhere the family's own."""
    own = {"resnet18": nn.ReLU(), "mobilenetv2": nn.ReLU6()}[family]
    named = PLACEMENTS[family] if places == "both" else tuple(places)
    gate = {"product": product, "activation": "silu", "placement": places, "stages": [1]}
    model = unsettled(build(candidate_from({**TINY[family], "gate": gate}), num_classes=2, seed=0))
    for stage in (0, 1):

        def place(block: nn.Module, name: str, h: Tensor, source: Tensor, at: int = stage) -> Any:
            if name not in named:
                return own(h)
            here = product if at == 1 else "none"
            return F.silu(h) * second(here, block.state_dict(), f"{name}2", h, source)

        if family == "resnet18":
            block: Any = model.get_submodule(f"layer{stage + 1}.0")
            x = images(2, 4, 6, 6)
            h = place(block, "inner", block.bn1(block.conv1(x)), x)
            y = block.bn2(block.conv2(h)) + block.downsample(x)
            expected = place(block, "outer", y, h)
        else:
            block = model.get_submodule(f"blocks.{stage}.0")
            x = images(2, 4, 6, 6)
            if stage == 0:
                h = place(block, "depthwise", block.bn1(block.conv_dw(x)), x)
                expected = block.bn2(block.conv_pw(h)) + x
            else:
                h = place(block, "expand", block.bn1(block.conv_pw(x)), x)
                u = place(block, "depthwise", block.bn2(block.conv_dw(h)), h)
                expected = block.bn3(block.conv_pwl(u)) + x  # of stride 1 with this stem
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("family", "places"), PLACES, ids=str)
def test_every_gate_trains(family: str, places: Any, product: str) -> None:
    """Logits have their shape, in channels_last the same, in bf16 near, gradients everywhere."""
    x, maps = images(4, 3, 8, 8), images(4, 4, 8, 8)
    direction = images(4, 3)
    for activation in ACTIVATIONS:
        gate = {"product": product, "activation": activation, "placement": places}
        model = build(
            candidate_from({**TINY[family], "gate": gate, "gain": "unit_variance"}),
            num_classes=3,
            seed=0,
        )
        logits = model(x)
        assert logits.shape == (4, 3)
        (logits * direction).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, (activation, name)
            assert parameter.grad.isfinite().all(), (activation, name)
        with torch.no_grad():
            last = {"memory_format": torch.channels_last}
            again = model.to(**last)(x.to(**last))
            torch.testing.assert_close(again, logits, rtol=1e-3, atol=1e-5)
            # Near for one block: the norms of the last maps, of one pixel, magnify any rounding.
            block = model.get_submodule({"resnet18": "layer1", "mobilenetv2": "blocks.1"}[family])
            exact = block(maps)
            with torch.autocast("cpu", torch.bfloat16):
                assert model(x).isfinite().all(), activation
                rough = block(maps)
        assert (rough.float() - exact).norm() < 0.1 * exact.norm(), activation


def test_kaiming_is_the_default() -> None:
    """Convolutions start normal, of variance 2 / fan out of one group."""
    drawn = build(candidate_from({"preset": "mobilenetv2"}), num_classes=10, seed=0).state_dict()
    for name, fan_out in (("conv_head", 1280), ("blocks.5.1.conv_dw", 9), ("conv_stem", 288)):
        weight = drawn[f"{name}.weight"]
        assert weight.var().item() == pytest.approx(2 / fan_out, rel=0.1), name
        assert abs(weight.mean()) < 4 * (weight.var() / weight.numel()) ** 0.5


def test_gain_stands_at_every_activation_of_a_block() -> None:
    """`unit_variance` scales the family's own activations too, wherever the gate is placed."""
    for family, count in (("resnet18", 4), ("mobilenetv2", 8)):
        for places in ([PLACEMENTS[family][0]], "both"):
            gate = {"product": "self", "activation": "gelu", "placement": places}
            tree = {**TINY[family], "gate": gate, "gain": "unit_variance"}
            model = build(candidate_from(tree), num_classes=2, seed=0)
            assert sum(isinstance(m, Scale) for m in model.modules()) == count


def test_tables_with_and_without_torch_agree() -> None:
    """The names that a candidate may use are the names that can be built."""
    assert list(MODULES) == list(ACTIVATIONS)
    assert list(FACTORS) == list(PRODUCTS)
    assert len(list(itertools.chain(PRODUCTS, ACTIVATIONS))) == 19
