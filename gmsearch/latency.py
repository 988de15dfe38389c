"""How long one candidate takes for one batch, alone on its device, with an interval.

Protocol: evaluation mode, batch norm folded into the convolution before it, channels_last,
float32, eager. Warm-up until the median of the last runs is stable; then blocks of runs, each
candidate block followed by one of a reference network, so that both see the same machine. All of
that is repeated with fresh copies of both networks, since where a copy lies in memory moves its
time by more than its blocks differ; the interval is over these repeats. It does not see to it
that nothing else runs: the caller does. It reports what it noticed.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psutil
import timm
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gmsearch.environment import cpu_name

REFERENCE = "mobilenetv3_small_100"
"""The timm model timed beside every candidate, with random weights and 1000 classes."""

_REPEATS = 6
_BLOCKS = 5
_BLOCK_SECONDS = 0.02
_LEAST_RUNS = 5
_WARMUP_WINDOW = 10
_WARMUP_TOLERANCE = 0.03
_WARMUP_SECONDS = 2.0
_DRIFT = 0.1
_FOREIGN_LOAD = 0.3
_RESAMPLES = 2000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Latency of one batch in milliseconds: median of the block medians and its interval."""

    latency_ms: float
    low: float
    """Lower end of the 95 % bootstrap interval of the median, repeats resampled whole."""
    high: float
    reference_ms: float
    ratio: float
    """latency_ms / reference_ms, both of the same interleaved run."""
    drift: float
    """Relative change of the reference from the first to the second half of its blocks."""
    foreign_load: float
    """Cores kept busy by other processes meanwhile."""
    blocks_ms: tuple[tuple[float, ...], ...]
    """Median of every block, by repeat."""
    reference_blocks_ms: tuple[tuple[float, ...], ...]
    protocol: dict[str, Any]

    @property
    def disturbed(self) -> bool:
        """Whether the reference drifted or another process was at work."""
        return abs(self.drift) > _DRIFT or self.foreign_load > _FOREIGN_LOAD


def measure(
    model: nn.Module, *, resolution: int, device: str, threads: int, batch_size: int = 1
) -> Timing:
    """Time `model` on random (batch_size, 3, resolution, resolution) float32 images.

    The model is copied, folded and moved; the one given stays as it is. The number of threads is
    that of the process afterwards too.
    """
    torch.set_num_threads(threads)
    target = torch.device(device)
    reference = timm.create_model(REFERENCE, pretrained=False)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, 3, resolution, resolution, generator=generator)
    blocks: list[tuple[list[float], list[float]]] = []
    with torch.inference_mode(), _foreign_load() as load:
        for _ in range(_REPEATS):
            x = images.to(target, copy=True).to(memory_format=torch.channels_last)
            subject, folded = _deployed(model, target)
            other, _ = _deployed(reference, target)
            blocks.append(_interleaved(_timed(subject, x), _timed(other, x)))
    ours = [repeat[0] for repeat in blocks]
    theirs = [repeat[1] for repeat in blocks]
    half = _REPEATS // 2
    latency, reference_ms = _median(ours), _median(theirs)
    low, high = _median_interval(ours)
    return Timing(
        latency_ms=latency,
        low=low,
        high=high,
        reference_ms=reference_ms,
        ratio=latency / reference_ms,
        drift=_median(theirs[half:]) / _median(theirs[:half]) - 1,
        foreign_load=load(),
        blocks_ms=tuple(map(tuple, ours)),
        reference_blocks_ms=tuple(map(tuple, theirs)),
        protocol={
            "batch_size": batch_size,
            "resolution": resolution,
            "mode": "eager",
            "dtype": "float32",
            "memory_format": "channels_last",
            "folded_batch_norms": folded,
            "threads": threads,
            "device": _device_name(target),
            "repeats": _REPEATS,
            "blocks": _BLOCKS,
            "reference": REFERENCE,
        },
    )


def _interleaved(
    run: Callable[[], float], reference: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Warm both up, then time blocks of both in turn; return the median of every block."""
    pairs: list[tuple[Callable[[], float], int, list[float]]] = [
        (timed, _warm_up(timed), []) for timed in (run, reference)
    ]
    for _ in range(_BLOCKS):
        for timed, count, medians in pairs:
            medians.append(statistics.median(timed() for _ in range(count)))
    return pairs[0][2], pairs[1][2]


def fold_batch_norm(model: nn.Module) -> int:
    """Fold, in place, each batch norm into the convolution its module applies just before it.

    A module with the children `conv` and `bn` is taken to apply them in that order, as those of
    our networks do; other batch norms stay. Returns how many were folded.
    """
    folded = 0
    for module in model.modules():
        conv, bn = getattr(module, "conv", None), getattr(module, "bn", None)
        if type(conv) is nn.Conv2d and type(bn) is nn.BatchNorm2d:
            module.conv = fuse_conv_bn_eval(conv, bn)
            module.bn = nn.Identity()
            folded += 1
    return folded


def _deployed(model: nn.Module, device: torch.device) -> tuple[nn.Module, int]:
    subject = copy.deepcopy(model).eval()
    folded = fold_batch_norm(subject)
    return subject.to(device).to(memory_format=torch.channels_last), folded


def _timed(model: nn.Module, x: torch.Tensor) -> Callable[[], float]:
    """Return a function that runs the model once and returns milliseconds."""
    cuda = x.device.type == "cuda"

    def run() -> float:
        if cuda:
            torch.cuda.synchronize(x.device)
        start = time.perf_counter()
        model(x)
        if cuda:
            torch.cuda.synchronize(x.device)
        return (time.perf_counter() - start) * 1e3

    return run


def _warm_up(run: Callable[[], float]) -> int:
    """Run until the median of a window agrees with that of the one before; return runs a block."""
    start, last = time.perf_counter(), float("inf")
    while True:
        median = statistics.median(run() for _ in range(_WARMUP_WINDOW))
        stable = abs(median - last) <= _WARMUP_TOLERANCE * median
        if stable or time.perf_counter() - start > _WARMUP_SECONDS:
            return max(_LEAST_RUNS, round(_BLOCK_SECONDS * 1e3 / median))
        last = median


def _median(repeats: Sequence[Sequence[float]]) -> float:
    return statistics.median(block for repeat in repeats for block in repeat)


def _median_interval(repeats: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the median, resampling whole repeats."""
    blocks = np.asarray(repeats)
    drawn = np.random.default_rng(0).integers(len(blocks), size=(_RESAMPLES, len(blocks)))
    medians = np.median(blocks[drawn].reshape(_RESAMPLES, -1), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


@contextlib.contextmanager
def _foreign_load() -> Iterator[Callable[[], float]]:
    """Yield a function that returns how many cores others kept busy since entering."""
    before, own, start = psutil.cpu_times(), os.times(), time.perf_counter()

    def load() -> float:
        after, mine = psutil.cpu_times(), os.times()
        elapsed = time.perf_counter() - start
        busy = after.user + after.system - before.user - before.system
        ours = mine.user + mine.system - own.user - own.system
        return max(0.0, (busy - ours) / elapsed)

    yield load


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()
