"""A network made ready to be run again and again, in one of the modes."""

from __future__ import annotations

import contextlib
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gmsearch.environment import lacking
from gmsearch.errors import InputError
from gmsearch.experiment import TimingCondition
from gmsearch.latency.folding import deployed, relocate

_GRAPH_WARMUP = 3  # runs before the capture of a CUDA graph, as PyTorch asks for


def usual_device() -> str:
    """Return a GPU where torch finds one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def require(condition: TimingCondition, device: str) -> None:
    """Raise InputError for what `device`, or what is installed here, cannot time."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = device
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device {device!r}: not known here; take cpu, cuda or cuda:N")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {device}: torch finds {torch.cuda.device_count()} GPUs here; take cpu"
        )
    missing = lacking(condition.mode, kind)
    if missing is not None:
        raise InputError(f"mode {condition.mode}: {missing}")


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Inference without autocast, float32 being true float32; puts back what was before.

    cuDNN tries its algorithms for the one shape of batch there is, as in a trial: a time does not
    depend on what this process did before.
    """
    tried = torch.backends.cudnn.benchmark
    # Convolutions on a GPU round to TF32 unless told otherwise.
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


class Subject:
    """One network, deployed on one device under one condition."""

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
            self._run()  # compiles, which is no part of a warm-up
        self.peak_memory_mb = self._peak(before)

    def _eager(self) -> Any:
        return self._model(self._images)

    def place(self) -> None:
        """Move the weights to another place in memory, and capture the graph anew if it is one.

        Where a copy lies moves its time by more than its blocks differ.
        """
        relocate(self._model)
        if self._mode == "graph":
            self._run = self._eager  # lets go of the graph before, and of its memory
            self._run = _captured(self._eager, self._device)

    def __call__(self) -> float:
        """Run once, images and weights on the device; return milliseconds."""
        self._wait()
        start = time.perf_counter()
        self._run()
        self._wait()
        return (time.perf_counter() - start) * 1e3

    def outputs(self) -> Tensor:
        """Return what the network, as deployed, makes of its images; (batch_size, classes)."""
        logits: Tensor = self._run()
        return logits

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _peak(self, before: int) -> float | None:
        """Return the most that one run holds, weights included, in 10^6 bytes; on a GPU alone.

        A graph, not yet captured here, keeps what its operators hold one by one.
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
    """Compile `model` apart from all others: torch gives up on code it compiled a few times."""

    def run() -> Any:
        return model(images)

    # torch.compile keeps what it made by code object, and all closures of `run` share theirs.
    own = types.FunctionType(run.__code__.replace(), run.__globals__, "run", None, run.__closure__)
    compiled: Callable[[], Any] = torch.compile(own)
    return compiled


def _captured(run: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """Return the replay of a CUDA graph of `run`; its answer lies where the capture put it."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch's
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_GRAPH_WARMUP):
            run()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        answer = run()

    def replay() -> Any:
        graph.replay()
        return answer

    return replay
