"""Run one plan in this process and spool its record; the one place that catches.

`run` never raises for what happens inside a plan: a failed trial is a record. The record is
durable in the study's spool before `run` returns. Only a disk that cannot be written is raised:
it says nothing of the trial, and would refuse the record too. What to run is decided elsewhere.
"""

from __future__ import annotations

import dataclasses
import errno
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gmsearch import ledger
from gmsearch.environment import cpu_name
from gmsearch.errors import (
    DataError,
    DivergedError,
    GmsearchError,
    PluginError,
    StorageError,
)
from gmsearch.experiment import Plan, RemeasurePlan, TimingPlan, TrialPlan, TuningPlan
from gmsearch.records import Failure
from gmsearch.runner import checkpoint
from gmsearch.runner.data import Run
from gmsearch.runner.remeasure import run_remeasure
from gmsearch.runner.timing import run_timing
from gmsearch.runner.trial import run_trial, run_tuning
from gmsearch.train import is_shortage

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_ERROR_CHARACTERS = 2000  # the whole ledger is read at every start
_RUNNERS: Mapping[type[Plan], Callable[[Any, str], Run]] = {
    TrialPlan: run_trial,
    TuningPlan: run_tuning,
    TimingPlan: run_timing,
    RemeasurePlan: run_remeasure,
}


def gpu_names() -> list[str]:
    """Return the names of the GPUs that torch finds here."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def device_name(device: str) -> str:
    """Return the name of the GPU or processor behind a torch device string."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu_name()


def run(plan: Plan) -> Run:
    """Run `plan`, yielding after each epoch; return its record once it is in the spool.

    A trial that is sent "stop" for an epoch ends there as PRUNED; other work ignores it.

    Raises:
        StorageError: a disk is full, read-only or failing, or the study's folder is gone; the
            plan has no record then, and counts as not attempted.
    """
    start = time.perf_counter()
    name: str | None = None
    try:
        name = device_name(plan.device)
        record = yield from _RUNNERS[type(plan)](plan, name)
    except Exception as error:  # noqa: BLE001 - the one place that catches: a failure is a record
        _raise_storage(error)
        record = plan.failed(_classify(error), _describe(error))
    seconds = record.seconds + time.perf_counter() - start
    record = dataclasses.replace(record, seconds=seconds, device_name=name)
    ledger.spool(Path(plan.study_dir), record)
    if record.final:
        checkpoint.remove(Path(plan.study_dir), plan.key)
    return record


def _raise_storage(error: BaseException | None) -> None:
    """Raise StorageError if the error, or one that it was raised from, is the disk's."""
    while error is not None:
        if isinstance(error, StorageError):
            raise error
        if isinstance(error, OSError) and error.errno in _DISK:
            place = error.filename or "a disk"
            raise StorageError(
                f"{place}: cannot be written: {error.strerror}; make room or repair it, then run "
                "the study again"
            ) from error
        error = error.__cause__ or error.__context__


def _classify(error: Exception) -> Failure:
    if isinstance(error, DivergedError):
        return Failure.DIVERGED
    if is_shortage(error):
        return Failure.OOM
    if isinstance(error, (OSError, DataError, PluginError)):
        return Failure.INFRASTRUCTURE
    return Failure.CODE


def _describe(error: Exception) -> str:
    """Return the message of gmsearch's exceptions, the end of the traceback for any other."""
    if isinstance(error, GmsearchError):
        return str(error)
    return "".join(traceback.format_exception(error)).strip()[-_ERROR_CHARACTERS:]
