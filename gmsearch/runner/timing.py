"""Time one candidate, alone on its device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmsearch import ledger
from gmsearch.experiment import TimingPlan, timed
from gmsearch.latency import time_models
from gmsearch.models import build
from gmsearch.runner.data import Run, dataset


def run_timing(plan: TimingPlan, device_name: str) -> Run:
    """Time the candidate of `plan` under all conditions of its metrics.

    The record's key is that of the device it really ran on.
    """
    data = dataset(plan)
    plan = plan.on(device_name, classes=len(data.classes), resolution=data.resolution)
    model = build(
        plan.arm.candidate,
        num_classes=len(data.classes),
        seed=0,
        resolution=data.resolution,
    )
    conditions = [parsed[1] for name in plan.wanted if (parsed := timed(name)) is not None]
    timings = time_models(
        {"": model},
        resolution=data.resolution,
        device=plan.device,
        threads=plan.threads,
        conditions=conditions,
    )[""]
    values: dict[str, float] = {}
    protocol: Mapping[str, Any] | None = None
    disturbed = False
    blocks: dict[str, Any] = {}
    for condition, timing in timings.items():
        if isinstance(timing, Exception):
            raise timing
        values |= timing.metrics()
        protocol = timing.protocol
        disturbed |= timing.disturbed
        blocks[condition.name("blocks_ms")] = timing.blocks_ms
        blocks[condition.name("reference_blocks_ms")] = timing.reference_blocks_ms
        if timing.machine:
            blocks[condition.name("machine")] = timing.machine
    ledger.write_history(Path(plan.study_dir), f"timing-{plan.key}-{plan.request}", blocks)
    return plan.completed(values, protocol=protocol, disturbed=disturbed)
    yield  # a generator like a trial's, though there is no progress to report
