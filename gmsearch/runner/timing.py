"""Time one candidate, alone on its device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gmsearch import ledger
from gmsearch.experiment import Plan, timed
from gmsearch.latency import time_models
from gmsearch.models import build
from gmsearch.runner.data import Run, dataset


def run_timing(plan: Plan) -> Run:
    """Time the candidate of `plan` under all conditions it wants.

    Returns the metrics of the record, each named by its condition, and how all were measured.
    """
    data = dataset(plan)
    model = build(plan.arm.candidate, num_classes=len(data.classes), seed=0)
    conditions = [found[1] for name in plan.wanted if (found := timed(name)) is not None]
    timings = time_models(
        {"": model},
        resolution=data.resolution,
        device=plan.device,
        threads=plan.threads,
        conditions=conditions,
    )[""]
    values: dict[str, float] = {}
    details: dict[str, Any] = {"disturbed": False}
    blocks: dict[str, Any] = {}
    for condition, timing in timings.items():
        if isinstance(timing, Exception):
            raise timing
        values |= timing.metrics()
        details["protocol"] = timing.protocol
        details["disturbed"] |= timing.disturbed
        blocks[condition.name("blocks_ms")] = timing.blocks_ms
        blocks[condition.name("reference_blocks_ms")] = timing.reference_blocks_ms
        if timing.machine:
            blocks[condition.name("machine")] = timing.machine
    ledger.write_history(Path(plan.study_dir), f"timing-{plan.key}-{plan.request}", blocks)
    return {"metrics": values, "details": details}
    yield  # a generator, like a trial, though it has no progress to tell
