"""The protocol: warm-up, blocks of runs beside a reference, repeats at fresh places in memory.

Networks are in evaluation mode, re-parameterised, batch norm folded, channels_last; images and
weights lie on the device. Each is warmed up until the median of its last runs is stable; then
blocks of runs, every block followed by one of a reference network, so that both see the same
machine. All of that is repeated with the weights of both at other places in memory, since where
they lie moves a time by more than its blocks differ; the interval is over these repeats. Several
networks take turns repeat by repeat, so that a machine that slows down does so for all of them.
It does not see to it that nothing else runs: the caller does. It reports what it noticed.
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
from gmsearch.latency.modes import Subject, exact, require

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
    """The most that one run holds on a GPU, weights included, in 10^6 bytes; None on a CPU."""
    reference_ms: float
    ratio: float
    """latency_ms / reference_ms, both of the same interleaved run."""
    drift: float
    """Relative change of the reference from the first to the second half of its blocks."""
    foreign_load: float
    """Cores kept busy by other processes meanwhile."""
    foreign_gpu_share: float | None
    """Share of the GPU used by other processes; None on a CPU, or where NVML does not tell."""
    machine: Mapping[str, Any]
    """Smallest and largest clocks and temperature of the GPU; empty where NVML does not tell."""
    blocks_ms: tuple[tuple[float, ...], ...]
    """Median of every block, by repeat."""
    reference_blocks_ms: tuple[tuple[float, ...], ...]
    protocol: Mapping[str, Any]
    """How it was measured, apart from the condition."""

    def metrics(self) -> dict[str, float]:
        """Return the numbers under the names that say the condition.

        `.low` and `.high` behind a name are the ends of its interval. What was not measured is
        absent.
        """
        images = self.condition.batch_size * 1e3
        found = {
            "latency_ms": self.latency_ms,
            "throughput_ips": self.throughput_ips,
            "peak_memory_mb": self.peak_memory_mb,
            "latency_ratio": self.ratio,
            "reference_ms": self.reference_ms,
            "drift": self.drift,
            "foreign_load": self.foreign_load,
            "foreign_gpu_share": self.foreign_gpu_share,
        }
        named = {self.condition.name(k): value for k, value in found.items() if value is not None}
        for name, low, high in (
            ("latency_ms", self.low, self.high),
            ("throughput_ips", images / self.high, images / self.low),
        ):
            named[f"{self.condition.name(name)}.low"] = low
            named[f"{self.condition.name(name)}.high"] = high
        return named

    @property
    def disturbances(self) -> tuple[str, ...]:
        """What may have moved the numbers; empty where nothing was noticed."""
        found = []
        if abs(self.drift) > _DRIFT:
            found.append(f"drift {self.drift:+.0%}")
        if self.foreign_load > _FOREIGN_LOAD:
            found.append(f"load {self.foreign_load:.1f}")
        if (self.foreign_gpu_share or 0) > _FOREIGN_GPU_SHARE:
            found.append(f"GPU shared {self.foreign_gpu_share:.0%}")
        return (*found, *(f"throttled: {reason}" for reason in self.machine.get("throttled", ())))

    @property
    def disturbed(self) -> bool:
        """Whether the reference drifted, another process was at work, or the GPU was held back."""
        return bool(self.disturbances)


Measured = dict[str, dict[TimingCondition, Timing | Exception]]
"""By name and condition: the timing, or what was raised instead."""


def measure(
    model: nn.Module,
    *,
    resolution: int,
    device: str,
    threads: int,
    batch_size: int = 1,
    mode: TimingMode = "eager",
    dtype: TimedDtype = "float32",
) -> Timing:
    """Time one network under one condition.

    The model is copied, deployed and moved; the one given stays as it is. The number of threads
    is that of the process afterwards too.

    Args:
        model: On the CPU.

        resolution: Height and width of the random images, in pixels.

        device: A torch device string.

        threads: Of the CPU, for operators.

        batch_size: Images at once.

        mode: `eager`, `compiled` by torch.compile, or `graph`, a CUDA graph.

        dtype: Of weights and images.

    Raises:
        InputError: where `device` cannot run in that mode.
    """
    wanted = TimingCondition(batch_size=batch_size, mode=mode, dtype=dtype)
    found = measure_each(
        {"": model}, resolution=resolution, device=device, threads=threads, conditions=[wanted]
    )[""][wanted]
    if isinstance(found, Exception):
        raise found
    return found


def measure_each(
    models: Mapping[str, nn.Module],
    *,
    resolution: int,
    device: str,
    threads: int,
    conditions: Iterable[TimingCondition],
    watch: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Time several networks under each condition, taking turns; see `measure`.

    What a network raises stands in its place; the others are timed nevertheless. `watch` is told
    what is being done.

    Raises:
        InputError: where `device` cannot run in one of the modes.
    """
    wanted = list(dict.fromkeys(conditions))
    for condition in wanted:
        require(condition, device)
    torch.set_num_threads(threads)
    found: Measured = {name: {} for name in models}
    for condition in wanted:
        with exact():
            rounds = _Rounds(models, resolution, torch.device(device), condition)
            for repeat in range(_REPEATS):
                for name in rounds.left:
                    watch(f"{name}{condition}, round {repeat + 1} of {_REPEATS}")
                    rounds.run(name)
        for name in models:
            found[name][condition] = rounds.result(name, threads)
    return found


class _Rounds:
    """Several networks under one condition, their blocks and their failures so far."""

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
        self._subjects: dict[str, Subject] = {}
        self._blocks: dict[str, tuple[Blocks, Blocks]] = {name: ([], []) for name in models}
        self._machines = {name: Machine(device) for name in models}
        self._reference = self._subject(timm.create_model(REFERENCE, pretrained=False))
        for name, model in models.items():
            try:
                self._subjects[name] = self._subject(model)
            except Exception as error:  # noqa: BLE001 - any network may fail in its own way
                self._failed[name] = error.with_traceback(None)  # which holds tensors

    def _subject(self, model: nn.Module) -> Subject:
        return Subject(
            model, resolution=self._resolution, device=self._device, condition=self._condition
        )

    @property
    def left(self) -> list[str]:
        """The networks that have not failed."""
        return [name for name in self._subjects if name not in self._failed]

    def run(self, name: str) -> None:
        """Time one repeat of one network beside the reference."""
        subject, reference = self._subjects[name], self._reference
        try:
            subject.place()
            reference.place()
            counts = [(timed, _warm_up(timed)) for timed in (subject, reference)]
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
        """Return the timing of one network, or what it raised."""
        if name in self._failed:
            return self._failed[name]
        (ours, theirs), machine = self._blocks[name], self._machines[name]
        subject, half = self._subjects[name], _REPEATS // 2
        latency, reference_ms = _median(ours), _median(theirs)
        low, high = _median_interval(ours)
        return Timing(
            condition=self._condition,
            latency_ms=latency,
            low=low,
            high=high,
            throughput_ips=self._condition.batch_size / latency * 1e3,
            peak_memory_mb=subject.peak_memory_mb,
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
                "folded_batch_norms": subject.folded,
                "threads": threads,
                "device": device_name(self._device),
                "repeats": _REPEATS,
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
