"""Timing protocol: warm-up, blocks of runs interleaved with a reference, repeats.

Networks are in evaluation mode, re-parameterised, batch norm folded, channels_last; images and
weights lie on the device. Each is warmed up until the median of its last runs is stable; then
blocks of runs, every block followed by a block of a reference network, so that both see the same
machine. All of this is repeated with the weights of both at other addresses in memory, because the
address changes a time by more than its blocks differ; the interval is over these repeats. Several
networks take turns repeat by repeat, so that a machine that slows down affects all of them. The
caller must ensure that nothing else runs; disturbances are detected and reported.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

from gmsearch.experiment import TimedDtype, TimingCondition, TimingMode
from gmsearch.latency.machine import Machine, device_name
from gmsearch.latency.modes import TimedModel, require_condition, true_float32_inference

REFERENCE = "mobilenetv3_small_100"
"""The timm model timed along with every candidate, with random weights and 1000 classes."""

_REPEATS = 6
_BLOCKS = 5
_BLOCK_SECONDS = 0.02
_LEAST_RUNS = 5
_WARMUP_WINDOW = 10
_WARMUP_TOLERANCE = 0.03
_WARMUP_SECONDS = 2.0
_DRIFT = 0.1
_FOREIGN_LOAD = 0.3
_FOREIGN_GPU_SHARE = 0.05
_RESAMPLES = 2000

Blocks = list[list[float]]
"""Median milliseconds of every block, by repeat."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Latency of one batch in milliseconds: median of the block medians and its interval."""

    condition: TimingCondition
    latency_ms: float
    low: float
    """Lower end of the 95 % bootstrap interval of the median, repeats resampled whole."""
    high: float
    throughput_ips: float
    """Images per second at that latency."""
    peak_memory_mb: float | None
    """Peak memory of one run on a GPU, weights included, in 10^6 bytes; None on a CPU."""
    reference_ms: float
    ratio: float
    """latency_ms / reference_ms, both of the same interleaved run."""
    drift: float
    """Relative change of the reference from the first to the second half of its blocks."""
    foreign_load: float
    """Cores kept busy by other processes while timing."""
    foreign_gpu_share: float | None
    """Share of the GPU used by other processes; None on a CPU, or if NVML does not report it."""
    machine: Mapping[str, Any]
    """Smallest and largest clocks and temperature of the GPU; empty without NVML."""
    blocks_ms: tuple[tuple[float, ...], ...]
    """Median of every block, by repeat."""
    reference_blocks_ms: tuple[tuple[float, ...], ...]
    protocol: Mapping[str, Any]
    """Settings of the measurement other than the condition."""

    def metrics(self) -> dict[str, float]:
        """Return the values by metric name, including the condition.

        `.low` and `.high` mark the ends of an interval. What was not measured is missing.
        """
        images = self.condition.batch_size * 1e3
        values = {
            "latency_ms": self.latency_ms,
            "throughput_ips": self.throughput_ips,
            "peak_memory_mb": self.peak_memory_mb,
            "latency_ratio": self.ratio,
            "reference_ms": self.reference_ms,
            "drift": self.drift,
            "foreign_load": self.foreign_load,
            "foreign_gpu_share": self.foreign_gpu_share,
        }
        named = {self.condition.name(k): value for k, value in values.items() if value is not None}
        for name, low, high in (
            ("latency_ms", self.low, self.high),
            ("throughput_ips", images / self.high, images / self.low),
        ):
            named[f"{self.condition.name(name)}.low"] = low
            named[f"{self.condition.name(name)}.high"] = high
        return named

    @property
    def disturbances(self) -> tuple[str, ...]:
        """Disturbances that were noticed while timing, in words."""
        notes = []
        if abs(self.drift) > _DRIFT:
            notes.append(f"drift {self.drift:+.0%}")
        if self.foreign_load > _FOREIGN_LOAD:
            notes.append(f"load {self.foreign_load:.1f}")
        if (self.foreign_gpu_share or 0) > _FOREIGN_GPU_SHARE:
            notes.append(f"GPU shared {self.foreign_gpu_share:.0%}")
        return (*notes, *(f"throttled: {reason}" for reason in self.machine.get("throttled", ())))

    @property
    def disturbed(self) -> bool:
        """Whether the reference drifted, other processes ran, or the GPU was throttled."""
        return bool(self.disturbances)


Timings = dict[str, dict[TimingCondition, Timing | Exception]]
"""Timing, or the exception raised instead, by name and condition."""


def time_model(
    model: nn.Module,
    *,
    resolution: int,
    device: str,
    threads: int,
    batch_size: int = 1,
    mode: TimingMode = "eager",
    dtype: TimedDtype = "float32",
    repeats: int = _REPEATS,
) -> Timing:
    """Time one network under one condition.

    The model is copied, deployed and moved; the original is unchanged. The process keeps the
    number of threads afterwards.

    Args:
        model: a network on the CPU that takes (N, 3, resolution, resolution).
        resolution: height and width of the random images, in pixels.
        device: a torch device string.
        threads: CPU threads per operator.
        batch_size: images per forward pass.
        mode: `eager`, `compiled` by torch.compile, or `graph`, a CUDA graph.
        dtype: precision of weights and images.
        repeats: warm-ups and series of blocks, each at other places in memory; at least 2.

    Raises:
        InputError: where `device` cannot run in that mode.
        FieldError: for a batch size, mode or dtype outside its limits.
    """
    condition = TimingCondition(batch_size=batch_size, mode=mode, dtype=dtype)
    timings = time_models(
        {"": model},
        resolution=resolution,
        device=device,
        threads=threads,
        conditions=[condition],
        repeats=repeats,
    )
    timing = timings[""][condition]
    if isinstance(timing, Exception):
        raise timing
    return timing


def time_models(
    models: Mapping[str, nn.Module],
    *,
    resolution: int,
    device: str,
    threads: int,
    conditions: Iterable[TimingCondition],
    repeats: int = _REPEATS,
    watch: Callable[[str], None] = lambda _: None,
) -> Timings:
    """Time several networks under each condition, taking turns.

    An exception of one network is returned in place of its timing; the others are still timed.

    Args:
        models: networks on the CPU, by name; see `time_model`.
        resolution: height and width of the random images, in pixels.
        device: a torch device string.
        threads: CPU threads per operator.
        conditions: conditions to time under; repeated ones are timed once.
        repeats: warm-ups and series of blocks per network; at least 2.
        watch: called with a description of each step.

    Raises:
        InputError: where `device` cannot run in one of the modes.
    """
    distinct = list(dict.fromkeys(conditions))
    for condition in distinct:
        require_condition(condition, device)
    torch.set_num_threads(threads)
    timings: Timings = {name: {} for name in models}
    for condition in distinct:
        with true_float32_inference():
            rounds = _Rounds(models, resolution, torch.device(device), condition)
            for repeat in range(repeats):
                for name in rounds.left:
                    watch(f"{name}{condition}, round {repeat + 1} of {repeats}")
                    rounds.run(name)
        for name in models:
            timings[name][condition] = rounds.result(name, threads)
    return timings


class _Rounds:
    """Several networks under one condition: their blocks and failures so far."""

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        resolution: int,
        device: torch.device,
        condition: TimingCondition,
    ) -> None:
        self._device = device
        self._resolution = resolution
        self._condition = condition
        self._failed: dict[str, Exception] = {}
        self._models: dict[str, TimedModel] = {}
        self._blocks: dict[str, tuple[Blocks, Blocks]] = {name: ([], []) for name in models}
        self._machines = {name: Machine(device) for name in models}
        self._reference = self._deployed(timm.create_model(REFERENCE, pretrained=False))
        for name, model in models.items():
            try:
                self._models[name] = self._deployed(model)
            except Exception as error:  # noqa: BLE001 - any network may fail in its own way
                self._failed[name] = error.with_traceback(None)  # which holds tensors

    def _deployed(self, model: nn.Module) -> TimedModel:
        return TimedModel(
            model, resolution=self._resolution, device=self._device, condition=self._condition
        )

    @property
    def left(self) -> list[str]:
        """Names of the networks that have not failed."""
        return [name for name in self._models if name not in self._failed]

    def run(self, name: str) -> None:
        """Time one repeat of a network, interleaved with the reference."""
        model, reference = self._models[name], self._reference
        try:
            model.relocate()
            reference.relocate()
            counts = [(timed, _warm_up(timed)) for timed in (model, reference)]
            medians: Blocks = [[], []]
            with self._machines[name].watched():
                for _ in range(_BLOCKS):
                    for (timed, count), blocks in zip(counts, medians, strict=True):
                        blocks.append(statistics.median(timed() for _ in range(count)))
        except Exception as error:  # noqa: BLE001 - any network may fail in its own way
            self._failed[name] = error.with_traceback(None)
            return
        for all_blocks, blocks in zip(self._blocks[name], medians, strict=True):
            all_blocks.append(blocks)

    def result(self, name: str, threads: int) -> Timing | Exception:
        """Return the timing of a network, or the exception it raised."""
        if name in self._failed:
            return self._failed[name]
        (ours, theirs), machine = self._blocks[name], self._machines[name]
        model, half = self._models[name], len(ours) // 2
        latency, reference_ms = _median(ours), _median(theirs)
        low, high = _median_interval(ours)
        return Timing(
            condition=self._condition,
            latency_ms=latency,
            low=low,
            high=high,
            throughput_ips=self._condition.batch_size / latency * 1e3,
            peak_memory_mb=model.peak_memory_mb,
            reference_ms=reference_ms,
            ratio=latency / reference_ms,
            drift=_median(theirs[half:]) / _median(theirs[:half]) - 1,
            foreign_load=machine.foreign_load,
            foreign_gpu_share=machine.foreign_gpu_share,
            machine=machine.state,
            blocks_ms=tuple(map(tuple, ours)),
            reference_blocks_ms=tuple(map(tuple, theirs)),
            protocol={
                "resolution": self._resolution,
                "memory_format": "channels_last",
                "folded_batch_norms": model.folded,
                "threads": threads,
                "device": device_name(self._device),
                "repeats": len(ours),
                "blocks": _BLOCKS,
                "reference": REFERENCE,
            },
        )


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
