"""Latency of one batch of a network, alone on its device, with an interval.

folding.py    networks as they are deployed
modes.py      eager, compiled, CUDA graph
machine.py    load of other processes; clocks and temperature
protocol.py   warm-up, blocks, repeats, the reference, the interval
"""

from __future__ import annotations

from gmsearch.latency.folding import fold_batch_norm
from gmsearch.latency.modes import require_condition, usual_device
from gmsearch.latency.protocol import REFERENCE, Timing, time_model, time_models

__all__ = [
    "REFERENCE",
    "Timing",
    "fold_batch_norm",
    "require_condition",
    "time_model",
    "time_models",
    "usual_device",
]
