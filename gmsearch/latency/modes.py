"""Networks prepared for repeated runs: eager, compiled, or as a CUDA graph."""

from __future__ import annotations

import contextlib
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gmsearch.environment import lacking, without_tf32_advice
from gmsearch.errors import InputError
from gmsearch.experiment import TimingCondition
from gmsearch.latency.folding import deployed, relocate

_GRAPH_WARMUP = 3  # runs before the capture of a CUDA graph, as PyTorch asks for


def usual_device() -> str:
    """Return `cuda` if torch finds a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def require_condition(condition: TimingCondition, device: str) -> None:
    """Raise InputError where this device or installation cannot time under a condition."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = device
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device: expected cpu, cuda or cuda:N, got {device!r}")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {device}: torch finds {torch.cuda.device_count()} GPUs; use cpu")
    missing = lacking(condition.mode, kind)
    if missing is not None:
        raise InputError(f"mode {condition.mode}: {missing}")


@contextlib.contextmanager
def true_float32_inference() -> Iterator[None]:
    """Run inference without autocast and with TF32 off; restores the settings afterwards.

    cuDNN benchmarks its algorithms for the one batch shape, as in a trial, so that a time does not
    depend on what this process did before.
    """
    tried = torch.backends.cudnn.benchmark
    # Convolutions on a GPU use TF32 by default.
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined] # made when torch loads
    backends = (convolution, torch.backends.cuda.matmul)
    precisions = [backend.fp32_precision for backend in backends]
    try:
        torch.backends.cudnn.benchmark = True
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.inference_mode():
            yield
    finally:
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = precision
        torch.backends.cudnn.benchmark = tried


class TimedModel:
    """A network deployed on one device under one timing condition."""

    def __init__(
        self,
        model: nn.Module,
        *,
        resolution: int,
        device: torch.device,
        condition: TimingCondition,
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(1, 3, resolution, resolution, generator=generator)
        subject, self.folded = deployed(model, image)
        dtype = getattr(torch, condition.dtype)
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        images = image.expand(condition.batch_size, -1, -1, -1)
        self._model = subject.to(device, dtype).to(memory_format=torch.channels_last)
        self._images = images.to(device, dtype).contiguous(memory_format=torch.channels_last)
        self._device = device
        self._mode = condition.mode
        self._run: Callable[[], Any] = self._eager
        if condition.mode == "compiled":
            self._run = _compiled(self._model, self._images)
            with without_tf32_advice():
                self._run()  # compiles, which is not part of the warm-up
        self.peak_memory_mb = self._peak(before)

    def _eager(self) -> Any:
        return self._model(self._images)

    def relocate(self) -> None:
        """Move the weights to other addresses in memory, and capture a CUDA graph anew.

        The address of the weights changes a time by more than its blocks differ.
        """
        relocate(self._model)
        if self._mode == "graph":
            self._run = self._eager  # releases the previous graph and its memory
            self._run = _captured(self._eager, self._device)

    def __call__(self) -> float:
        """Run once and return milliseconds; images and weights are on the device."""
        self._wait()
        start = time.perf_counter()
        self._run()
        self._wait()
        return (time.perf_counter() - start) * 1e3

    def outputs(self) -> Tensor:
        """Return the logits of the deployed network: (batch_size, classes)."""
        logits: Tensor = self._run()
        return logits

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _peak(self, before: int) -> float | None:
        """Return the peak memory of one run, weights included, in 10^6 bytes; None on a CPU.

        For mode graph it is measured eagerly, before the capture.
        """
        if self._device.type != "cuda":
            return None
        self._run()
        self._wait()
        torch.cuda.reset_peak_memory_stats(self._device)
        self._run()
        self._wait()
        return (torch.cuda.max_memory_allocated(self._device) - before) / 1e6


def _compiled(model: nn.Module, images: Tensor) -> Callable[[], Any]:
    """Compile `model` separately: torch gives up on a function it has compiled a few times."""

    def run() -> Any:
        return model(images)

    # torch.compile caches by code object, which all closures of `run` share.
    own = types.FunctionType(run.__code__.replace(), run.__globals__, "run", None, run.__closure__)
    compiled: Callable[[], Any] = torch.compile(own)
    return compiled


def _captured(run: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """Return a replay of a CUDA graph of `run`; its output stays in the captured buffer."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch's
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_GRAPH_WARMUP):
            run()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        output = run()

    def replay() -> Any:
        graph.replay()
        return output

    return replay
