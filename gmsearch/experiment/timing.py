"""How a candidate is timed, and the names of the metrics that come of it.

`latency_ms` alone is of one image, eager, in float32; what differs from that stands behind an
`@`, in this order and joined by dots: `latency_ms@b64`, `latency_ms@b1.graph`,
`throughput_ips@b64.compiled.bfloat16`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Literal, get_args

from gmsearch.checks import is_int, one_of
from gmsearch.limits import require

TimingMode = Literal["eager", "compiled", "graph"]
TimedDtype = Literal["float32", "bfloat16"]
MODES: tuple[TimingMode, ...] = get_args(TimingMode)
TIMED_DTYPES: tuple[TimedDtype, ...] = get_args(TimedDtype)
TIMED_METRICS = ("latency_ms", "throughput_ips", "peak_memory_mb")
"""What is measured under every condition; the last on a GPU alone."""

TIMED_NAME = (
    rf"({'|'.join(TIMED_METRICS)})"
    rf"(?:@b([1-9][0-9]{{0,5}})(?:\.({'|'.join(MODES)}))?(?:\.({'|'.join(TIMED_DTYPES)}))?)?"
)
"""Regular expression of the names of timed metrics: metric, batch size, mode, dtype."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, order=True)
class TimingCondition:
    """One way to time a network."""

    batch_size: int = 1

    mode: TimingMode = "eager"
    """eager: operator by operator; compiled: `torch.compile`; graph: a CUDA graph of the eager
    operators, replayed."""

    dtype: TimedDtype = "float32"
    """Of weights and images; float32 is true float32, TF32 kept off."""

    def __post_init__(self) -> None:
        """Check the values."""
        require(
            is_int(self.batch_size) and self.batch_size > 0,
            "batch_size",
            f"{self.batch_size!r} is not a positive integer",
        )
        one_of(self.mode, MODES, "mode")
        one_of(self.dtype, TIMED_DTYPES, "dtype")

    def __str__(self) -> str:
        """Return it as a metric's name says it; nothing for the usual condition."""
        said = [f"b{self.batch_size}"]
        said += [self.mode] if self.mode != "eager" else []
        said += [self.dtype] if self.dtype != "float32" else []
        return "" if said == ["b1"] else "@" + ".".join(said)

    def name(self, metric: str) -> str:
        """Return the name of `metric` under this condition."""
        return f"{metric}{self}"


def timed(name: str) -> tuple[str, TimingCondition] | None:
    """Return metric and condition of a timed metric's name, None for any other name.

    A condition that is spelt out where it need not be is taken too: `condition.name(metric)` is
    the one spelling that records use.
    """
    found = re.fullmatch(TIMED_NAME, name)
    if found is None:
        return None
    metric, batch_size, mode, dtype = found.groups()
    condition = TimingCondition(
        batch_size=int(batch_size or 1),
        mode=next((m for m in MODES if m == mode), "eager"),
        dtype=next((d for d in TIMED_DTYPES if d == dtype), "float32"),
    )
    return metric, condition
