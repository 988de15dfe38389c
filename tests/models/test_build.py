"""Models of timm as candidates, and the presets as models of timm."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from gmsearch.candidate import PRESETS, TimmModel, candidate_from
from gmsearch.errors import FieldError
from gmsearch.models import build


def test_timm_model_is_built_untrained() -> None:
    """A timm name gives timm's class with the outputs and input channels asked for."""
    model = build(TimmModel(name="test_resnet.r160_in1k"), num_classes=5, in_chans=1, seed=0)
    assert type(model).__name__ == "ResNet"
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 5)


def test_timm_model_takes_its_drop_path() -> None:
    """`drop_path_rate` reaches a timm model that has one."""
    model = build(TimmModel(name="test_convnext", drop_path_rate=0.3), num_classes=2, seed=0)
    rates = [getattr(module, "drop_prob", 0.0) for module in model.modules()]
    assert max(rates) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("candidate", "path", "said"),
    [
        (TimmModel(name="mobilenet_v3_small_100"), "name", "mobilenetv3_small_100"),
        (TimmModel(name="qqqqqqqq"), "name", "timm.list_models()"),
        (TimmModel(name="hf-hub:some/model"), "name", "no model of timm"),
        (TimmModel(name="resnet18.imagenet"), "name", "after the dot"),
        (TimmModel(name="vgg11", drop_path_rate=0.1), "drop_path_rate", "leave it out"),
    ],
)
def test_what_timm_cannot_build(candidate: TimmModel, path: str, said: str) -> None:
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
    assert theirs.pretrained_cfg["input_size"] == (3, 224, 224)
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


def test_contract_of_timm() -> None:
    """A preset takes timm's arguments and has timm's methods."""
    model = timm.create_model(
        "gmnet_s1",
        num_classes=7,
        in_chans=1,
        drop_rate=0.5,
        drop_path_rate=0.1,
        global_pool="catavgmax",
    ).eval()
    x = torch.randn(2, 1, 33, 40)
    features = model.forward_features(x)
    assert features.shape == (2, 320, 2, 2)
    assert model.forward_head(features, pre_logits=True).shape == (2, 640)
    assert torch.equal(model.forward_head(features), model(x))
    assert model.get_classifier() is model.head
    assert model.head_drop.p == 0.5
    assert model.stages[3][2].drop_path.drop_prob == pytest.approx(0.1)

    model.reset_classifier(3, "avg")
    assert model.num_classes == 3
    assert model(x).shape == (2, 3)
    model.reset_classifier(0)
    assert model(x).shape == (2, 320)
    model.reset_classifier(0, "")
    assert torch.equal(model(x), features)
    assert isinstance(model.get_classifier(), nn.Identity)


def test_features_only() -> None:
    """`features_only` gives one map per stage, at the reductions it states."""
    model = timm.create_model("gmnet_s1", features_only=True, out_indices=(1, 3))
    assert model.feature_info.reduction() == [8, 32]
    maps = model(torch.zeros(1, 3, 64, 64))
    assert [tuple(m.shape[1:]) for m in maps] == [(80, 8, 8), (320, 2, 2)]


def test_no_trained_weights_and_no_stray_arguments() -> None:
    """A preset has no trained weights to give, and refuses an argument it does not know."""
    with pytest.raises(RuntimeError, match="No pretrained weights"):
        timm.create_model("gmnet_s3", pretrained=True)
    with pytest.raises(TypeError, match="mlp_ration"):
        timm.create_model("gmnet_s3", mlp_ration=3)
