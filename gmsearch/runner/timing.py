"""Time one candidate, alone on its device."""

from __future__ import annotations

from pathlib import Path

from gmsearch import ledger
from gmsearch.latency import measure
from gmsearch.models import build
from gmsearch.runner.images import Run, dataset
from gmsearch.trial import Plan


def run_timing(plan: Plan) -> Run:
    """Time the candidate of `plan`; return the metrics and the protocol of the record."""
    data = dataset(plan)
    model = build(plan.arm.candidate, num_classes=len(data.classes), seed=0)
    timing = measure(model, resolution=data.resolution, device=plan.device, threads=plan.threads)
    values = {
        "latency_ms": timing.latency_ms,
        "latency_ms.low": timing.low,
        "latency_ms.high": timing.high,
        "latency_ratio": timing.ratio,
        "reference_ms": timing.reference_ms,
        "drift": timing.drift,
        "foreign_load": timing.foreign_load,
    }
    ledger.write_history(
        Path(plan.study_dir),
        f"timing-{plan.key}",
        {"blocks_ms": timing.blocks_ms, "reference_blocks_ms": timing.reference_blocks_ms},
    )
    details = {"protocol": timing.protocol, "disturbed": timing.disturbed}
    return {"metrics": values, "details": details}
    yield  # a generator, like a trial, though it has no progress to tell
