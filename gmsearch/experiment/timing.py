"""Conditions under which a candidate is timed, and the names of timed metrics.

`latency_ms` alone means one image, eager, float32. Other conditions follow an `@`, in this order
and joined by dots: `latency_ms@b64`, `latency_ms@b1.graph`,
`throughput_ips@b64.compiled.bfloat16`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Literal, get_args

from gmsearch.limits import Positive, check
from gmsearch.metrics import TIMED_METRICS

TimingMode = Literal["eager", "compiled", "graph"]
TimedDtype = Literal["float32", "bfloat16"]
MODES: tuple[TimingMode, ...] = get_args(TimingMode)
TIMED_DTYPES: tuple[TimedDtype, ...] = get_args(TimedDtype)
TIMED_NAME = (
    rf"({'|'.join(TIMED_METRICS)})"
    rf"(?:@b([1-9][0-9]{{0,5}})(?:\.({'|'.join(MODES)}))?(?:\.({'|'.join(TIMED_DTYPES)}))?)?"
)
"""Regular expression of the names of timed metrics: metric, batch size, mode, dtype."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, order=True)
class TimingCondition:
    """One way to time a network."""

    batch_size: Positive = 1

    mode: TimingMode = "eager"
    """eager: operator by operator; compiled: `torch.compile`; graph: replay of a CUDA graph of the
    eager operators."""

    dtype: TimedDtype = "float32"
    """Precision of weights and images; float32 is true float32, with TF32 off."""

    def __post_init__(self) -> None:
        """Check the limits of every field."""
        check(self)

    def __str__(self) -> str:
        """Return the suffix of a metric's name; empty for the default condition."""
        parts = [f"b{self.batch_size}"]
        parts += [self.mode] if self.mode != "eager" else []
        parts += [self.dtype] if self.dtype != "float32" else []
        return "" if parts == ["b1"] else "@" + ".".join(parts)

    def name(self, metric: str) -> str:
        """Return the name of `metric` under this condition."""
        return f"{metric}{self}"


def timed(name: str) -> tuple[str, TimingCondition] | None:
    """Return metric and condition of a timed metric's name, None for any other name.

    Redundant parts such as `@b1` are accepted; records use the spelling of
    `condition.name(metric)` only.
    """
    match = re.fullmatch(TIMED_NAME, name)
    if match is None:
        return None
    metric, batch_size, mode, dtype = match.groups()
    condition = TimingCondition(
        batch_size=int(batch_size or 1),
        mode=next((m for m in MODES if m == mode), "eager"),
        dtype=next((d for d in TIMED_DTYPES if d == dtype), "float32"),
    )
    return metric, condition
