"""Run one plan in this process and spool its record; the one place that catches.

`run` never raises for what happens inside a plan: a failed trial is a record. The record is
durable in the study's spool before anybody is told. It does not decide what to run.
"""

from __future__ import annotations

import time
import traceback
from pathlib import Path

import torch

from gmsearch import ledger
from gmsearch.errors import DataError, DivergedError, GmsearchError, PluginError
from gmsearch.experiment import Plan
from gmsearch.records import Failure, record_of
from gmsearch.runner import checkpoint
from gmsearch.runner.data import Run
from gmsearch.runner.remeasure import run_measure
from gmsearch.runner.timing import run_timing
from gmsearch.runner.trial import run_trial

_ERROR_CHARACTERS = 2000  # the ledger is read as a whole at every start
_WORK = {
    "trial": run_trial,
    "tuning": run_trial,
    "timing": run_timing,
    "measure": run_measure,
}


def gpu_names() -> list[str]:
    """Return the names of the GPUs that torch finds here."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def run(plan: Plan) -> Run:
    """Run `plan`, yielding after each epoch; return its record once it is in the spool."""
    start = time.perf_counter()
    try:
        outcome = yield from _WORK[plan.kind](plan)
    except Exception as error:  # noqa: BLE001 - the one place that catches: a failure is a record
        outcome = {"failure": _classify(error), "error": _describe(error)}
    seconds = outcome.pop("earlier", 0.0) + time.perf_counter() - start
    record = record_of(plan, seconds=seconds, **outcome)
    ledger.spool(Path(plan.study_dir), record)
    if not outcome.get("failure", Failure.CODE).retried:
        checkpoint.remove(Path(plan.study_dir), plan.key)
    return record


def _classify(error: Exception) -> Failure:
    if isinstance(error, DivergedError):
        return Failure.DIVERGED
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return Failure.OOM
    if isinstance(error, (OSError, DataError, PluginError)):
        return Failure.INFRASTRUCTURE
    return Failure.CODE


def _describe(error: Exception) -> str:
    """Return one line for what gmsearch raises itself, the traceback's end for anything else."""
    if isinstance(error, GmsearchError):
        return str(error)
    return "".join(traceback.format_exception(error)).strip()[-_ERROR_CHARACTERS:]
