"""Profile of a piece of work: its operators by self time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


def of(work: Callable[[], object]) -> str:
    """Return torch's table of the work's operators, after one run that is not profiled."""
    work()
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as recorded:
        work()
    by = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    table: str = recorded.key_averages().table(sort_by=by, row_limit=25)
    return table
