"""Run one plan in this process and spool its record; the one place that catches.

`run` never raises for what happens inside a trial: a failed trial is a record. The record is
durable in the study's spool before anybody is told. It does not decide what to run.
"""

from __future__ import annotations

import functools
import math
import time
import traceback
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gmsearch import ledger
from gmsearch.bands import evaluate_bands, metrics
from gmsearch.candidate import GmNet
from gmsearch.data import Dataset, load
from gmsearch.errors import DataError, DivergedError, GmsearchError
from gmsearch.evaluate import Scores
from gmsearch.latency import measure
from gmsearch.models import activation_regimes, build
from gmsearch.train import Epoch, train
from gmsearch.trial import HOLDOUT, Failure, Plan, Progress, record_of

_REGIME_IMAGES = 256
_ERROR_CHARACTERS = 2000  # the ledger is read as a whole at every start

Run = Generator[Progress, None, dict[str, Any]]


def gpu_names() -> list[str]:
    """Return the names of the GPUs that torch finds here."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def run(plan: Plan) -> Run:
    """Run `plan`, yielding after each epoch; return its record once it is in the spool."""
    start = time.perf_counter()
    work = _trial(plan) if plan.kind == "trial" else _timing(plan)
    try:
        outcome = yield from work
    except Exception as error:  # noqa: BLE001 - the one place that catches: a failure is a record
        outcome = {"failure": _classify(error), "error": _describe(error)}
    record = record_of(plan, seconds=time.perf_counter() - start, **outcome)
    ledger.spool(Path(plan.study_dir), record)
    return record


def _trial(plan: Plan) -> Run:
    torch.set_num_threads(plan.threads)
    data = _dataset(plan)
    candidate, recipe = plan.arm.candidate, plan.arm.recipe
    torch.manual_seed(plan.seed)
    model = build(candidate, num_classes=len(data.classes), seed=plan.seed).to(plan.device)
    images, labels = _tensors(data, "train")
    history: dict[str, list[Any]] = {}
    last: Epoch | None = None
    steps = train(model, images, labels, recipe, mean=data.mean, std=data.std, seed=plan.seed)
    for last in steps:
        shown = _history_row(plan, data, last, history)
        yield Progress(key=plan.key, epoch=last.epoch, epochs=recipe.epochs, metrics=shown)
    assert last is not None, "a recipe has at least one epoch"
    trained = last.model
    evaluation = _evaluate(plan, data, trained, "evaluation")
    values = metrics(evaluation)
    if len(data.holdout.labels):
        held = metrics(_evaluate(plan, data, trained, "holdout"))
        values |= {f"{HOLDOUT}{name}": value for name, value in held.items()}
    values |= {**plan.known, "chance": data.chance, "train_loss": last.train_loss}
    if isinstance(candidate, GmNet):
        values |= _regimes(trained, data, plan.device)
    _require_finite(values)
    folder = Path(plan.study_dir)
    ledger.write_history(folder, plan.key, history)
    _keep(folder, plan.key, trained, evaluation)
    return {"metrics": values}


def _timing(plan: Plan) -> Run:
    data = _dataset(plan)
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


def _classify(error: Exception) -> Failure:
    if isinstance(error, DivergedError):
        return Failure.DIVERGED
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return Failure.OOM
    if isinstance(error, (OSError, DataError)):
        return Failure.INFRASTRUCTURE
    return Failure.CODE


def _describe(error: Exception) -> str:
    """Return one line for what gmsearch raises itself, the traceback's end for anything else."""
    if isinstance(error, GmsearchError):
        return str(error)
    return "".join(traceback.format_exception(error)).strip()[-_ERROR_CHARACTERS:]


@functools.lru_cache(maxsize=2)
def _cached_dataset(spec: Any, identity: str) -> Dataset:
    data = load(spec)
    if data.identity != identity:
        message = f"the data at {getattr(spec, 'root', spec.name)} changed since the study began"
        raise DataError(message)
    return data


def _dataset(plan: Plan) -> Dataset:
    return _cached_dataset(plan.data, plan.data_identity)


def _tensors(data: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """Return uint8 (N, H, W, C) and int64 (N,) that share the memory of the decoded cache."""
    images = getattr(data, split)
    return torch.from_numpy(images.images), torch.from_numpy(images.labels)


def _evaluate(plan: Plan, data: Dataset, model: nn.Module, split: str) -> dict[str, Scores]:
    images, labels = _tensors(data, split)
    return evaluate_bands(
        model,
        images,
        labels,
        bands=plan.bands,
        mean=data.mean,
        std=data.std,
        device=plan.device,
    )


def _history_row(
    plan: Plan, data: Dataset, epoch: Epoch, history: dict[str, list[Any]]
) -> Mapping[str, float]:
    """Append the epoch to the history and return what a live view shows of it."""
    split = plan.bands.curves if len(data.holdout.labels) else "evaluation"
    every, epochs = plan.bands.every, plan.arm.recipe.epochs
    wanted = every > 0 and (epoch.epoch % every == 0 or epoch.epoch == epochs)
    values: dict[str, float] = {}
    if wanted:
        scores = metrics(_evaluate(plan, data, epoch.model, split))
        values = {name: scores[name] for name in ("top1", *plan.bands.metrics)}
    measured = {name: values.get(name) for name in ("top1", *plan.bands.metrics)}
    row = {"epoch": epoch.epoch, "train_loss": epoch.train_loss, "lr": epoch.lr, **measured}
    for name, value in row.items():
        history.setdefault(name, []).append(value)
    history["split"] = split  # type: ignore[assignment] # one word beside the columns
    return {"train_loss": epoch.train_loss, **values}


def _regimes(model: nn.Module, data: Dataset, device: str) -> dict[str, float]:
    """Return the share of pre-activations below 0 and above 6 on the first evaluation images."""
    images, _ = _tensors(data, "evaluation")
    x = images[:_REGIME_IMAGES].to(device).float().div(255)
    x = (x - torch.tensor(data.mean, device=device)) / torch.tensor(data.std, device=device)
    regimes: dict[str, float] = activation_regimes(model, x.permute(0, 3, 1, 2))
    return regimes


def _require_finite(values: Mapping[str, float]) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        message = f"not finite after training: {', '.join(bad)}"
        raise DivergedError(message)


def _keep(folder: Path, key: str, model: nn.Module, scores: dict[str, Scores]) -> None:
    """Keep the evaluated weights and, per version of the images, the predicted classes."""
    weights = folder / "weights"
    weights.mkdir(exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, weights / f"{key}.safetensors")
    predictions: dict[str, Any] = {name: score.predictions for name, score in scores.items()}
    np.savez_compressed(weights / f"{key}.predictions.npz", **predictions)
