"""Latency: folding changes nothing, the interval holds the median, load is noticed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from gmsearch.candidate import candidate_from
from gmsearch.latency import fold_batch_norm, measure
from gmsearch.models import build

NET = {"widths": [8, 16], "depths": [1, 1], "stem_width": 8, "kernel_size": 3, "mlp_ratio": 2}


def randomised(model: nn.Module) -> nn.Module:
    """Give every batch norm statistics that a fold could get wrong."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return model.eval()


@pytest.mark.parametrize("product", ["none", "self", "dw", "split"])
def test_folding_does_not_change_the_function(product: str) -> None:
    """A folded network gives the same logits to 1e-5, with fewer modules to run."""
    candidate = candidate_from({**NET, "gate": {"product": product}})
    model = randomised(build(candidate, num_classes=5, seed=0))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = model(x)
        folded = fold_batch_norm(model)
        after = model(x)
    assert folded > 0
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_a_timing_says_what_it_measured_and_leaves_the_model_alone() -> None:
    """Median inside its interval, a positive ratio, blocks kept; mode and weights untouched."""
    model = build(candidate_from(NET), num_classes=5, seed=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    timing = measure(model, resolution=16, device="cpu", threads=1)
    assert timing.low <= timing.latency_ms <= timing.high
    assert timing.ratio == pytest.approx(timing.latency_ms / timing.reference_ms)
    for blocks in (timing.blocks_ms, timing.reference_blocks_ms):
        assert len(blocks) == timing.protocol["repeats"]
        assert {len(repeat) for repeat in blocks} == {timing.protocol["blocks"]}
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_more_work_takes_longer() -> None:
    """A network of about forty times the operations is slower, in one run and in ratio."""
    small = build(candidate_from(NET), num_classes=5, seed=0)
    large = build(
        candidate_from({**NET, "widths": [64, 128], "depths": [3, 3]}), num_classes=5, seed=0
    )
    one = measure(small, resolution=32, device="cpu", threads=1)
    other = measure(large, resolution=32, device="cpu", threads=1)
    assert other.ratio > 1.5 * one.ratio


def test_a_neighbour_at_work_is_noticed() -> None:
    """A process that spins next to the measurement shows as foreign load and as disturbed."""
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        model = build(candidate_from(NET), num_classes=5, seed=0)
        timing = measure(model, resolution=16, device="cpu", threads=1)
    finally:
        spin.kill()
        spin.wait()
    assert timing.foreign_load > 0.3
    assert timing.disturbed
