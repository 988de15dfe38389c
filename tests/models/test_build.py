"""Models of timm as candidates, and the presets as models of timm."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from timm.models import group_parameters
from torch import nn

from gmsearch.errors import FieldError
from gmsearch.models import build
from gmsearch.networks import PRESETS, TimmSpec, candidate_from


def test_timm_model_is_built_untrained() -> None:
    """A timm name gives timm's class with the outputs and input channels asked for."""
    model = build(TimmSpec(name="test_resnet.r160_in1k"), num_classes=5, in_chans=1, seed=0)
    assert type(model).__name__ == "ResNet"
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "levit_128s"])
def test_a_model_of_one_size_is_made_for_the_images(name: str) -> None:
    """Where timm can; from the seed alone, and in training mode."""
    spec = TimmSpec(name=name)
    one, other = (build(spec, num_classes=3, seed=1, resolution=32) for _ in range(2))
    states = one.state_dict(), other.state_dict()

    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert all(module.training for module in one.modules())
    assert one.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "resolution"),
    [("vit_tiny_patch16_224", 224), ("coat_lite_tiny", 64), ("resnet10t", 32)],
)
def test_a_model_that_takes_the_images_is_as_it_was(name: str, resolution: int) -> None:
    """Knowing their size changes no weight of a model that runs on them anyway."""
    spec = TimmSpec(name=name)
    plain = build(spec, num_classes=3, seed=1).state_dict()
    sized = build(spec, num_classes=3, seed=1, resolution=resolution).state_dict()

    assert plain.keys() == sized.keys()
    assert all(torch.equal(plain[key], sized[key]) for key in plain)


def test_timm_model_takes_its_drop_path() -> None:
    """`drop_path_rate` reaches a timm model that has one."""
    model = build(TimmSpec(name="test_convnext", drop_path_rate=0.3), num_classes=2, seed=0)
    rates = [getattr(module, "drop_prob", 0.0) for module in model.modules()]
    assert max(rates) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("candidate", "path", "said"),
    [
        (TimmSpec(name="mobilenet_v3_small_100"), "name", "mobilenetv3_small_100"),
        (TimmSpec(name="qqqqqqqq"), "name", "timm.list_models()"),
        (TimmSpec(name="hf-hub:some/model"), "name", "not a model of timm"),
        (TimmSpec(name="resnet18.imagenet"), "name", "after the dot"),
        (TimmSpec(name="vgg11", drop_path_rate=0.1), "drop_path_rate", "remove it"),
    ],
)
def test_what_timm_cannot_build(candidate: TimmSpec, path: str, said: str) -> None:
    """An unknown name, tag or argument is an error that names the field and the remedy."""
    with pytest.raises(FieldError) as caught:
        build(candidate, num_classes=2, seed=0)
    assert caught.value.path == path
    assert said in caught.value.message


@pytest.mark.parametrize("name", list(PRESETS))
def test_preset_through_timm_is_the_candidate(name: str) -> None:
    """`timm.create_model` of a preset and `build` of its candidate make the same tensors."""
    theirs = timm.create_model(name, num_classes=7)
    ours = build(candidate_from({"preset": name}), num_classes=7, seed=0)
    assert [(n, p.shape) for n, p in theirs.named_parameters()] == [
        (n, p.shape) for n, p in ours.named_parameters()
    ]


def test_preset_follows_the_global_seed() -> None:
    """As with any model of timm, `torch.manual_seed` decides the weights of a preset."""
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        heads.append(timm.create_model("gmnet_s1", num_classes=2).head.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


POOLS = {"avg": 1, "max": 1, "avgmax": 1, "catavgmax": 2, "fast": 1, "fastcatavgmax": 2}
FAMILIES = ["gmnet_s1", "res18_gate_relu6", "mobilenetv2_gate_relu6"]


@pytest.mark.parametrize("name", FAMILIES)
def test_contract_of_timm(name: str) -> None:
    """A preset takes timm's arguments and has timm's methods."""
    model = timm.create_model(
        name,
        num_classes=7,
        in_chans=1,
        drop_rate=0.5,
        drop_path_rate=0.1,
        global_pool="catavgmax",
    ).eval()
    x = torch.randn(2, 1, 33, 40)
    features = model.forward_features(x)
    width = model.num_features
    assert features.shape == (2, width, 2, 2)
    assert model.forward_head(features, pre_logits=True).shape == (2, 2 * width)
    assert torch.equal(model.forward_head(features), model(x))
    classifier = model.get_classifier(name_only=True)
    assert model.get_classifier() is getattr(model, classifier)
    assert model.head_drop.p == 0.5
    rates = [getattr(module, "drop_prob", 0.0) for module in model.modules()]
    assert max(rates) == pytest.approx(0.1)

    for pool, times in POOLS.items():
        model.reset_classifier(3, pool)
        assert model.num_classes == 3
        assert model.head_hidden_size == times * width
        assert model(x).shape == (2, 3)
    model.reset_classifier(0, "avg")
    assert model(x).shape == (2, width)
    model.reset_classifier(0, "")
    assert torch.equal(model(x), features)
    assert isinstance(model.get_classifier(), nn.Identity)


@pytest.mark.parametrize("name", list(PRESETS))
def test_default_configuration(name: str) -> None:
    """What timm is told of a preset is true: names of first layer and head, sizes, no weights."""
    model = timm.create_model(name)
    config, state = model.default_cfg, model.state_dict()
    assert config["input_size"] == (3, 224, 224)
    assert state[f"{config['first_conv']}.weight"].shape[1] == 3
    assert state[f"{config['classifier']}.weight"].shape[0] == config["num_classes"] == 1000
    assert model.get_classifier(name_only=True) == config["classifier"]
    assert [32 * info for info in config["pool_size"]] == [224, 224]
    groups = group_parameters(model, model.group_matcher(coarse=True))
    named = {parameter for group in groups.values() for parameter in group}
    assert named == {parameter for parameter, _ in model.named_parameters()}
    with pytest.raises(RuntimeError, match="No pretrained weights"):
        timm.create_model(name, pretrained=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_only(name: str) -> None:
    """`features_only` gives the maps asked for, as stated, by either of timm's ways."""
    whole = timm.create_model(name).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    last, expected = whole.forward_intermediates(x)
    assert torch.equal(last, whole.forward_features(x))
    assert len(expected) >= 4
    for way in ("list", "getter"):
        model = timm.create_model(
            name, features_only=True, out_indices=(1, 3), feature_cls=way
        ).eval()
        weights = {f"model.{n}": t for n, t in whole.state_dict().items()}
        if way == "list":
            own = model.state_dict()
            weights = {
                re.sub(r"^(stem|stages|blocks)\.", r"\1_", n): t
                for n, t in whole.state_dict().items()
            }
            weights = {n: t for n, t in weights.items() if n in own}
            assert weights.keys() == own.keys()
        model.load_state_dict(weights)
        maps = model(x)
        assert model.feature_info.channels() == [m.shape[1] for m in maps]
        assert model.feature_info.reduction() == [64 // m.shape[2] for m in maps]
        assert all(torch.equal(m, expected[i]) for m, i in zip(maps, (1, 3), strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_intermediate_maps(name: str) -> None:
    """The last maps by number, an early stop, the last norm and no features, as timm has them."""
    model = timm.create_model(name).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    last, maps = model.forward_intermediates(x)
    two = model.forward_intermediates(x, indices=2, intermediates_only=True)
    assert [m.shape for m in two] == [m.shape for m in maps[-2:]]
    stopped, first = model.forward_intermediates(x, indices=[0], stop_early=True)
    assert torch.equal(stopped, first[0])
    assert torch.equal(first[0], maps[0])
    for stop_early in (False, True):
        _, normed = model.forward_intermediates(x, indices=[-1], norm=True, stop_early=stop_early)
        assert torch.equal(normed[0], last if name == "gmnet_s1" else maps[-1])
    with pytest.raises(ValueError, match="NCHW"):
        model.forward_intermediates(x, output_fmt="NLC")


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_checkpointing(name: str) -> None:
    """Computing the blocks anew in the backward pass gives the same gradients."""
    model = timm.create_model(name, num_classes=3, drop_path_rate=0.2).train()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        torch.manual_seed(0)
        model(x).square().sum().backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
    for parameter, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][parameter], gradient, msg=parameter)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_torchscript(name: str) -> None:
    """A preset can be scripted, as timm asks of its models while PyTorch still does it."""
    model = timm.create_model(name, num_classes=3).eval()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.jit.script(model)(x), model(x))


def test_no_stray_arguments() -> None:
    """A preset refuses an argument it does not know."""
    with pytest.raises(TypeError, match="mlp_ration"):
        timm.create_model("gmnet_s3", mlp_ration=3)
