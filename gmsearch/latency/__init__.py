"""How long a network takes for one batch, alone on its device, with an interval.

folding.py    networks as they are deployed
modes.py      eager, compiled, or as a CUDA graph
machine.py    what else was at work; clocks and temperature
protocol.py   warm-up, blocks, repeats, the reference, the interval
"""

from __future__ import annotations

from gmsearch.latency.folding import fold_batch_norm
from gmsearch.latency.modes import require, usual_device
from gmsearch.latency.protocol import REFERENCE, Timing, measure, measure_each

__all__ = [
    "REFERENCE",
    "Timing",
    "fold_batch_norm",
    "measure",
    "measure_each",
    "require",
    "usual_device",
]
