"""Re-evaluate a finished trial from its saved weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from gmsearch import ledger
from gmsearch.bands import named_metrics
from gmsearch.errors import StudyError
from gmsearch.experiment import RemeasurePlan
from gmsearch.models import build
from gmsearch.runner.data import Run, dataset, evaluate, packed_predictions


def run_remeasure(plan: RemeasurePlan, _device_name: str) -> Run:
    """Evaluate the saved weights on the versions of the images that the plan names.

    Raises:
        StudyError: the weights are missing, damaged, or of another trial.
    """
    torch.set_num_threads(plan.threads)
    data = dataset(plan)
    model = build(
        plan.arm.candidate,
        num_classes=len(data.classes),
        seed=plan.seed,
        resolution=data.resolution,
    )
    _load(model, ledger.weights(Path(plan.study_dir), plan.key), plan.weights_sha256)
    model.to(plan.device).to(memory_format=torch.channels_last)
    scores = evaluate(plan, data, model, plan.split, only=plan.wanted)
    path = Path(plan.study_dir) / "weights" / f"{plan.key}.{plan.request}.predictions.npz"
    ledger.write_atomic(path, packed_predictions(scores))
    return plan.completed(named_metrics(scores))
    yield  # a generator like a trial's, though there is no progress to report


def _load(model: nn.Module, path: Path, expected_sha256: str | None) -> None:
    try:
        data = path.read_bytes()
        if expected_sha256 is not None and hashlib.sha256(data).hexdigest() != expected_sha256:
            raise _refused(path, "other bytes than it left")
        model.load_state_dict(load(data))
    except (SafetensorError, RuntimeError, FileNotFoundError) as error:
        raise _refused(path, str(error).splitlines()[0]) from error


def _refused(path: Path, reason: str) -> StudyError:
    return StudyError(
        f"{path}: not the weights of this trial: {reason}; restore the file, or train the "
        "trial again in a study of another name"
    )
