"""State of the machine while timing: load of other processes, clocks and temperature of a GPU.

Values that cannot be read are missing, never zero.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import torch

from gmsearch.environment import cpu_name

Range = tuple[float, float]
"""Smallest and largest value read."""

# NVML's reasons to clock down that mean throttling rather than idleness.
_THROTTLES = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}


class Machine:
    """Readings of one device and of other processes, over all intervals it was watched."""

    def __init__(self, device: torch.device) -> None:
        self._foreign_seconds = 0.0
        self._seconds = 0.0
        self._read: dict[str, Range] = {}
        self._throttles: set[str] = set()
        self._foreign_shares: list[float] = []
        self._handle = _nvml_handle(device)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Record load, clocks and temperature inside the block."""
        before, own, start = psutil.cpu_times(), os.times(), time.perf_counter()
        since = time.time_ns() // 1000
        yield
        after, mine = psutil.cpu_times(), os.times()
        self._seconds += time.perf_counter() - start
        busy = after.user + after.system - before.user - before.system
        self._foreign_seconds += busy - (mine.user + mine.system - own.user - own.system)
        if self._handle is not None:
            self._read_gpu(since)

    def _read_gpu(self, since: int) -> None:
        """Read NVML while the device is still warm; skip what it does not support."""
        import pynvml

        handle = self._handle
        readers: dict[str, Callable[[], float]] = {
            "sm_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
            "memory_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(
                handle, pynvml.NVML_CLOCK_MEM
            ),
            "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(
                handle, pynvml.NVML_TEMPERATURE_GPU
            ),
        }
        for name, reader in readers.items():
            with contextlib.suppress(pynvml.NVMLError):
                value = float(reader())
                low, high = self._read.get(name, (value, value))
                self._read[name] = min(low, value), max(high, value)
        with contextlib.suppress(pynvml.NVMLError):
            reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
            self._throttles |= {name for bit, name in _THROTTLES.items() if reasons & bit}
        with contextlib.suppress(pynvml.NVMLError):
            used = pynvml.nvmlDeviceGetProcessUtilization(handle, since)
            self._foreign_shares.append(foreign_share([(one.pid, one.smUtil) for one in used]))

    @property
    def foreign_load(self) -> float:
        """Mean number of cores kept busy by other processes."""
        return max(0.0, self._foreign_seconds / self._seconds) if self._seconds else 0.0

    @property
    def state(self) -> dict[str, Any]:
        """Ranges of clocks and temperature, and reasons for throttling; empty without NVML."""
        state: dict[str, Any] = {name: list(values) for name, values in self._read.items()}
        if self._throttles:
            state["throttled"] = sorted(self._throttles)
        return state

    @property
    def foreign_gpu_share(self) -> float | None:
        """Largest share of the GPU's time used by other processes; None if unknown."""
        return max(self._foreign_shares, default=None)


def foreign_share(used: list[tuple[int, int]]) -> float:
    """Return the share of a GPU used by other processes, from (process id, percent) samples.

    In a container NVML reports ids of the host, among which this process's own is not. The busiest
    process is then taken to be this one, since it keeps the GPU busy while timing.
    """
    percents: dict[int, int] = {}
    for pid, percent in used:
        percents[pid] = max(percent, percents.get(pid, 0))
    if not percents:
        return 0.0
    own = os.getpid() if os.getpid() in percents else max(percents, key=percents.__getitem__)
    return min(1.0, sum(p for pid, p in percents.items() if pid != own) / 100)


def device_name(device: torch.device) -> str:
    """Return the GPU's or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()


def _nvml_handle(device: torch.device) -> Any:
    """Return NVML's handle of a CUDA device; None if there is none."""
    if device.type != "cuda":
        return None
    try:
        import pynvml
    except ImportError:  # optional for the measuring core
        return None
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        # By its id: CUDA_VISIBLE_DEVICES renumbers what torch sees, not what NVML does.
        uuid = torch.cuda.get_device_properties(device).uuid
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    return None
