"""What timm's users may do with any of our registered names, in their way of asking."""

from __future__ import annotations

import functools
import warnings

import pytest
import timm
import torch
from torch import Tensor, fx, nn

import gmsearch.models  # noqa: F401 - registers the names
from gmsearch.models import build
from gmsearch.networks import PRESETS, TimmSpec, candidate_from

GATED_RES18 = [name for name in PRESETS if name.startswith("res18_")]
every_name = pytest.mark.parametrize("name", list(PRESETS))


def images(count: int, side: int = 32, scale: float = 1.0) -> Tensor:
    """Return standard normal images, times `scale`."""
    generator = torch.Generator().manual_seed(1)
    return scale * torch.randn((count, 3, side, side), generator=generator)


@functools.cache
def shared(name: str) -> nn.Module:
    """Return an untrained network of five classes, for tests that change nothing in it."""
    return untrained(name, num_classes=5)


def untrained(name: str, **arguments: object) -> nn.Module:
    """Return the network as timm makes it of a fixed seed, in eval mode."""
    torch.manual_seed(0)
    return timm.create_model(name, **arguments).eval()


@every_name
@torch.no_grad()
def test_outputs_of_an_untrained_network(name: str) -> None:
    """Logits are of the shape asked for and finite, in parts as in one, for images up to 4 sd."""
    model = shared(name)
    for x in (images(2), images(1, side=65), images(2, scale=4)):
        logits = model(x)
        assert logits.shape == (len(x), 5)
        assert logits.isfinite().all()
        assert torch.equal(model.forward_head(model.forward_features(x)), logits)


@every_name
def test_gradients(name: str) -> None:
    """Every parameter, the head's included, has a finite gradient that is not zero."""
    model = untrained(name, num_classes=5).train()
    model(images(4)).square().sum().backward()
    for parameter, tensor in model.named_parameters():
        assert tensor.grad is not None, parameter
        assert tensor.grad.isfinite().all(), parameter
        assert tensor.grad.abs().max() > 0, parameter


@every_name
@torch.no_grad()
def test_maps(name: str) -> None:
    """The maps are finite and of the stated sizes, and `features_only` extracts the same."""
    whole, x = shared(name), images(1, side=64)
    last, expected = whole.forward_intermediates(x)
    assert torch.equal(last, whole.forward_features(x))
    extractor = untrained(name, features_only=True)  # of the seed of the other
    maps = extractor(x)
    info = extractor.feature_info
    assert len(maps) == len(expected) == len(info.channels())
    for m, other, channels, reduction in zip(
        maps, expected, info.channels(), info.reduction(), strict=True
    ):
        assert m.shape == (1, channels, 64 // reduction, 64 // reduction)
        assert m.isfinite().all()
        assert torch.equal(m, other)


@every_name
@torch.no_grad()
def test_another_head(name: str) -> None:
    """`reset_classifier` gives the outputs asked for; with 0 those before the head."""
    model, x = untrained(name, num_classes=5), images(2)
    before = model.forward_head(model.forward_features(x), pre_logits=True)
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)
    model.reset_classifier(0)
    assert torch.equal(model(x), before)
    assert before.shape == (2, model.num_features)


@every_name
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@torch.no_grad()
def test_traced_and_scripted(name: str) -> None:
    """FX traces every network, and TorchScript compiles the graph."""
    model, x = shared(name), images(1)
    graph = fx.symbolic_trace(model)
    torch.testing.assert_close(graph(x), model(x))
    torch.testing.assert_close(torch.jit.script(graph)(x), model(x))


@every_name
@torch.no_grad()
def test_exported(name: str) -> None:
    """`torch.export` takes every network; ONNX of every part of one is tested beside this."""
    model, x = shared(name), images(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("name", GATED_RES18)
def test_only_the_norm_after_a_product_starts_elsewhere(name: str) -> None:
    """By timm or in a study, nothing differs but that variance, which training mode ignores."""
    torch.manual_seed(0)
    seed = int(torch.randint(2**62, ()))
    torch.manual_seed(0)
    theirs: nn.Module = timm.create_model(name, num_classes=5)
    ours = build(candidate_from({"preset": name}), num_classes=5, seed=seed)
    other = {n for n, t in ours.state_dict().items() if not torch.equal(t, theirs.state_dict()[n])}
    assert other == {f"layer{i}.{j}.bn2.running_var" for i in (1, 2, 3, 4) for j in (0, 1)}
    x = images(4)
    assert torch.equal(theirs.train()(x), ours.train()(x))
    named = build(TimmSpec(name=name), num_classes=5, seed=0)
    assert torch.equal(named.layer1[0].bn2.running_var, torch.ones(64))
