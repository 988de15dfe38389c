"""Latency: deployment changes nothing, the interval holds the median, load is noticed."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gmsearch.environment import lacking
from gmsearch.errors import InputError
from gmsearch.experiment import MODES, TIMED_DTYPES, TimingCondition, timed
from gmsearch.latency import fold_batch_norm, machine, time_model, time_models
from gmsearch.latency.folding import deployed
from gmsearch.latency.machine import Machine, foreign_share
from gmsearch.latency.modes import TimedModel, true_float32_inference
from gmsearch.latency.protocol import _median_interval
from gmsearch.metrics import TIMED_METRICS
from gmsearch.models import build
from gmsearch.networks import candidate_from

NET = {"widths": [8, 16], "depths": [1, 1], "stem_width": 8, "kernel_size": 3, "mlp_ratio": 2}
CPU = torch.device("cpu")
# Convolution then norm by other names, norm with an activation in it, norms before convolutions,
# branches to merge, padding as TensorFlow does it, channel attention, dense links.
TIMM = {
    "resnet18": (64, 20),
    "mobilenetv3_small_100": (64, 34),
    "tf_efficientnet_b0": (64, 49),
    "repvit_m1_0": (64, 108),
    "starnet_s1": (64, 35),
    "levit_128s": (224, 52),
    "densenet121": (64, 59),
    "regnety_002": (64, 44),
    "ghostnet_100": (64, 80),
}


def tiny(**more: Any) -> nn.Module:
    """Build a network of a few thousand parameters."""
    return build(candidate_from({**NET, **more}), num_classes=5, seed=0)


def randomised(model: nn.Module) -> nn.Module:
    """Give every batch norm statistics that a fold could get wrong."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.data = 0.8 + 0.4 * torch.rand(tensor.shape, generator=generator)
    return model.eval()


def images(resolution: int, n: int = 2) -> torch.Tensor:
    """Return random images."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, resolution, resolution, generator=generator)


def outputs(model: nn.Module, x: torch.Tensor, dtype: torch.dtype) -> tuple[Any, Any, int]:
    """Return the logits before and after deployment, as float64, and how many norms went."""
    model, x = copy.deepcopy(model).to(dtype), x.to(dtype)
    torch.set_default_dtype(dtype)  # in which timm makes the convolutions that branches become
    try:
        with torch.inference_mode():
            before = model(x)
            subject, folded = deployed(model, x)
            return before.double(), subject(x).double(), folded
    finally:
        torch.set_default_dtype(torch.float32)


def require_equal(model: nn.Module, resolution: int) -> int:
    """Check that what is deployed gives the same logits; return how many norms it is rid of.

    In float64, where rounding is out of the way, to 1e-7 of the largest logit. In float32 to 1e-5,
    or where the network itself rounds worse (each product doubles an error, and 17 blocks have
    one), to what it is off before.
    """
    x = images(resolution)
    exactly, after, folded = outputs(model, x, torch.float64)
    scale = exactly.abs().max()
    assert (after - exactly).abs().max() <= 1e-7 * scale
    before, after, _ = outputs(model, x, torch.float32)
    rounding = (before - exactly).abs().max()
    assert (after - exactly).abs().max() <= max(1e-5 * scale, 4 * rounding)
    return folded


@pytest.mark.parametrize("product", ["none", "self", "dw", "split"])
def test_folding_does_not_change_the_function(product: str) -> None:
    """A folded GmNet gives the same logits to 1e-5, and but one batch norm is left in it."""
    model = randomised(tiny(gate={"product": product}))
    x = images(32)
    with torch.inference_mode():
        before = model(x)
        folded = fold_batch_norm(model, x)
        after = model(x)
    assert folded == 7  # all but the last, which reads a residual sum
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == 1
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["gmnet_s1", "res18_gate_gelu", "mobilenetv2_gate_relu6"])
def test_presets_are_deployed_with_equal_outputs(name: str) -> None:
    """Networks of every family give the same logits deployed, rid of every norm after a conv."""
    candidate = candidate_from({"preset": name})
    model = randomised(build(candidate, num_classes=10, seed=0))
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert require_equal(model, 64) == norms - name.startswith("gmnet")


@pytest.mark.parametrize("name", TIMM)
def test_models_of_timm_are_deployed_with_equal_outputs(name: str) -> None:
    """Models of timm give the same logits deployed, whatever their modules are called."""
    resolution, folded = TIMM[name]
    torch.manual_seed(0)
    model = randomised(timm.create_model(name, num_classes=10))
    assert require_equal(model, resolution) == folded


class Shared(nn.Module):
    """A convolution whose output is read by its norm and by `reader` besides."""

    def __init__(self, reader: str) -> None:
        super().__init__()
        self.reader = reader
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> Any:
        """Read the convolution twice, or run a module twice."""
        y = self.conv(x)
        z = self.bn(y)
        return {
            "sum": lambda: y + z,
            "answer": lambda: (y, z),
            "view": lambda: z + y.flatten(1).mean(),
            "norm": lambda: self.bn(z),
            "conv": lambda: z.mean() + self.conv(x),
            "in place": lambda: self.bn(self.conv(x).relu_()),
        }[self.reader]()


@pytest.mark.parametrize("reader", ["sum", "answer", "view", "norm", "conv", "in place"])
def test_a_norm_stays_where_its_convolution_has_another_reader(reader: str) -> None:
    """Nothing is folded that would change what somebody else reads."""
    assert fold_batch_norm(Shared(reader).eval(), images(8)) == 0


def test_a_timing_says_what_it_measured_and_leaves_the_model_alone() -> None:
    """Median inside its interval, a positive ratio, blocks kept; mode and weights untouched."""
    model = tiny().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    timing = time_model(model, resolution=16, device="cpu", threads=1, batch_size=2)
    assert timing.low <= timing.latency_ms <= timing.high
    assert timing.ratio == pytest.approx(timing.latency_ms / timing.reference_ms)
    assert timing.throughput_ips == pytest.approx(2000 / timing.latency_ms)
    for blocks in (timing.blocks_ms, timing.reference_blocks_ms):
        assert len(blocks) == timing.protocol["repeats"]
        assert {len(repeat) for repeat in blocks} == {timing.protocol["blocks"]}
    assert timing.protocol["folded_batch_norms"] == 7
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    json.dumps(dataclasses.asdict(timing))

    metrics = timing.metrics()
    assert metrics["latency_ms@b2"] == timing.latency_ms
    low, mean, high = (metrics[f"throughput_ips@b2{end}"] for end in (".low", "", ".high"))
    assert low <= mean <= high
    assert not [name for name in metrics if name.startswith(("peak_memory_mb", "foreign_gpu"))]


def test_more_work_takes_longer_and_a_failure_stays_its_own() -> None:
    """Of networks timed in turns the larger is slower; one that raises does not stop the rest."""

    class Broken(nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            raise ValueError("no such size")

    models = {"small": tiny(), "broken": Broken(), "large": tiny(widths=[96, 192], depths=[3, 3])}
    usual = TimingCondition()
    found = time_models(
        models, resolution=32, device="cpu", threads=1, conditions=[usual, usual], repeats=2
    )
    assert [list(timings) for timings in found.values()] == [[usual]] * 3
    small, broken, large = (found[name][usual] for name in models)
    assert isinstance(broken, ValueError)
    assert not isinstance(small, Exception)
    assert not isinstance(large, Exception)
    assert large.ratio > 1.5 * small.ratio


def test_a_neighbour_at_work_is_noticed() -> None:
    """A process that spins next to the measurement shows as foreign load and as disturbed."""
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        timing = time_model(tiny(), resolution=16, device="cpu", threads=1, repeats=2)
    finally:
        spin.kill()
        spin.wait()
    assert timing.foreign_load > 0.3
    assert timing.disturbed
    assert any(said.startswith("load") for said in timing.disturbances)


@given(st.integers(0, 2**32 - 1))
def test_the_interval_holds_the_median(seed: int) -> None:
    """Whatever the blocks, the median of all lies in the bootstrap interval."""
    blocks = np.random.default_rng(seed).lognormal(size=(6, 5))
    low, high = _median_interval(blocks.tolist())
    assert low <= np.median(blocks) <= high


@given(
    st.sampled_from(TIMED_METRICS),
    st.builds(
        TimingCondition,
        batch_size=st.integers(1, 999_999),
        mode=st.sampled_from(MODES),
        dtype=st.sampled_from(TIMED_DTYPES),
    ),
)
def test_names_of_timed_metrics_are_read_back(metric: str, condition: TimingCondition) -> None:
    """A name gives back its metric and its condition; no two conditions share a name."""
    assert timed(condition.name(metric)) == (metric, condition)
    assert (condition.name(metric) == metric) == (condition == TimingCondition())


@pytest.mark.parametrize(
    "name", ["latency", "latency_ms@64", "latency_ms@b0", "latency_ms.low", "top1@b1", "low@4"]
)
def test_other_names_are_no_timed_metrics(name: str) -> None:
    """What does not follow the grammar is another metric, or none."""
    assert timed(name) is None


@pytest.mark.parametrize(
    ("device", "mode", "said"),
    [
        ("cpu", "graph", "needs a GPU"),
        ("cuda:99", "eager", r"torch finds \d GPUs; use cpu"),
        ("tpu", "eager", "tpu"),
    ],
)
def test_what_a_device_cannot_do_is_refused(device: str, mode: Any, said: str) -> None:
    """A CUDA graph on a CPU, a GPU that is not there, a device nobody knows: one line each."""
    with pytest.raises(InputError, match=said):
        time_model(tiny(), resolution=16, device=device, threads=1, mode=mode)


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C++ compiler the compiled mode names it, on a CPU alone."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in (lacking("compiled", "cpu") or "")
    assert lacking("compiled", "cuda") is None
    assert lacking("eager", "cpu") is None


def test_bfloat16_is_what_it_says() -> None:
    """Weights and images are bfloat16, and the outputs near those of float32."""
    with true_float32_inference():
        one, other = (
            TimedModel(
                tiny(),
                resolution=16,
                device=CPU,
                condition=TimingCondition(batch_size=2, dtype=dtype),
            ).outputs()
            for dtype in TIMED_DTYPES
        )
    assert (one.dtype, other.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(other.float(), one, atol=0.02, rtol=0.02)


def test_what_a_timing_sets_is_put_back() -> None:
    """Precisions and cuDNN's choice are the same whatever ran before, and afterwards as before."""
    backends = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    precisions = [backend.fp32_precision for backend in backends]
    before = torch.backends.cudnn.benchmark
    try:
        for usual in (False, True):
            torch.backends.cudnn.benchmark = usual
            with true_float32_inference():
                assert torch.backends.cudnn.benchmark
                assert {backend.fp32_precision for backend in backends} == {"ieee"}
            assert torch.backends.cudnn.benchmark == usual
            assert [backend.fp32_precision for backend in backends] == precisions
    finally:
        torch.backends.cudnn.benchmark = before


@pytest.mark.skipif(lacking("compiled", "cpu") is not None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # torch.compile's own
def test_compiled_networks_give_equal_outputs_wherever_their_weights_lie() -> None:
    """Compiled equals eager to 1e-5, compiled once: weights moved in memory compile nothing."""
    small = tiny(widths=[8], depths=[1])
    with true_float32_inference():
        eager = TimedModel(small, resolution=16, device=CPU, condition=TimingCondition())
        compiled = TimedModel(
            small, resolution=16, device=CPU, condition=TimingCondition(mode="compiled")
        )
        before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        compiled.relocate()
        torch.testing.assert_close(compiled.outputs(), eager.outputs(), atol=1e-5, rtol=1e-5)
    assert before > 0
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before


def test_without_nvml_nothing_is_said_of_the_gpu() -> None:
    """On a CPU, or where NVML is not, clocks and shares are absent and not zero."""
    watched = Machine(CPU)
    with watched.watched():
        time.sleep(0.01)
    assert watched.state == {}
    assert watched.foreign_gpu_share is None


def test_what_nvml_cannot_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that the driver refuses leaves no trace beside those it gives."""
    pynvml = pytest.importorskip("pynvml")

    def refuses(*_: Any) -> float:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    clocks = iter([1500, 1400])
    monkeypatch.setattr(machine, "_nvml_handle", lambda _: "a handle")
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetClockInfo",
        lambda _, kind: next(clocks) if kind == pynvml.NVML_CLOCK_SM else refuses(),
    )
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTemperature", refuses)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", lambda _: 0x44)
    sample = SimpleNamespace(pid=-1, smUtil=90)
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetProcessUtilization",
        lambda *_: [sample, SimpleNamespace(pid=-2, smUtil=25)],
    )
    watched = Machine(CPU)
    for _ in range(2):
        with watched.watched():
            pass
    assert watched.state == {
        "sm_clock_mhz": [1400, 1500],
        "throttled": ["hardware thermal", "power cap"],
    }
    assert watched.foreign_gpu_share == 0.25


def test_our_own_process_is_no_neighbour() -> None:
    """Alone the share of others is zero; an idle neighbour adds nothing."""
    assert foreign_share([]) == 0
    assert foreign_share([(1234567, 99)]) == 0
    assert foreign_share([(1234567, 99), (1234568, 0)]) == 0
    assert foreign_share([(1234567, 99), (1234568, 30), (1234568, 40)]) == 0.4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", TIMED_DTYPES)
def test_a_gpu_times_every_mode(dtype: Any) -> None:
    """Eager, compiled and graph give equal outputs, a memory, and clocks where NVML tells."""
    device = torch.device("cuda")
    conditions = [TimingCondition(mode=mode, batch_size=4, dtype=dtype) for mode in MODES]
    found = time_models(
        {"": tiny()}, resolution=32, device="cuda", threads=1, conditions=conditions
    )[""]
    for timing in found.values():
        assert not isinstance(timing, Exception)
        assert timing.low <= timing.latency_ms <= timing.high
        assert timing.peak_memory_mb is not None
        assert timing.peak_memory_mb > 0
        read = [values for name, values in timing.machine.items() if name != "throttled"]
        assert all(low <= high for low, high in read)
    with true_float32_inference():
        outputs = []
        for condition in conditions:
            subject = TimedModel(tiny(), resolution=32, device=device, condition=condition)
            subject.relocate()
            outputs.append(subject.outputs().float().cpu())
    # Each mode may take other algorithms of cuDNN, which round otherwise.
    tolerance = 1e-4 if dtype == "float32" else 0.02
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], atol=tolerance, rtol=tolerance)
