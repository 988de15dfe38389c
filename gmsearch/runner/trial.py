"""Train one arm with one seed and measure it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from gmsearch import ledger
from gmsearch.bands import metrics
from gmsearch.data import Dataset
from gmsearch.errors import DivergedError
from gmsearch.evaluate import Scores
from gmsearch.experiment import Plan, Progress
from gmsearch.metrics import HOLDOUT
from gmsearch.models import activation_regimes, build
from gmsearch.runner import checkpoint
from gmsearch.runner.data import Run, dataset, evaluate, first, training_batches
from gmsearch.train import Epoch, train

_REGIME_IMAGES = 256


def run_trial(plan: Plan) -> Run:
    """Train and evaluate, from the last checkpoint on where there is one.

    Returns the metrics of the record, how they came about, and the seconds spent before the
    checkpoint.
    """
    start = time.perf_counter()
    torch.set_num_threads(plan.threads)
    torch.backends.cudnn.benchmark = True  # the batches of a training are of one shape
    data = dataset(plan)
    candidate, recipe, folder = plan.arm.candidate, plan.arm.recipe, Path(plan.study_dir)
    torch.manual_seed(plan.seed)
    model = build(candidate, num_classes=len(data.classes), seed=plan.seed).to(plan.device)
    before = checkpoint.read(folder, plan.key)
    if before is None:
        before = {"training": None, "history": {}, "seconds": 0.0, "continued_from": []}
    else:
        before["continued_from"].append(before["training"]["epoch"])
    history, source, total = before["history"], training_batches(plan, data), recipe.total_epochs
    last: Epoch | None = None
    for last in train(model, source, recipe, seed=plan.seed, state=before["training"]):
        shown = _history_row(plan, data, last, history)
        if (
            recipe.checkpoint_every
            and last.epoch % recipe.checkpoint_every == 0
            and last.epoch < total
        ):
            seconds = before["seconds"] + time.perf_counter() - start
            state = {**before, "training": last.state(), "seconds": seconds}
            checkpoint.write(folder, plan.key, state)
        yield Progress(key=plan.key, epoch=last.epoch, epochs=total, metrics=shown)
    assert last is not None, "a recipe has an epoch behind every checkpoint"
    trained = last.model
    held = _holdout(plan, data, trained)
    if plan.kind == "tuning":
        return {"metrics": held, "earlier": before["seconds"]}
    evaluation = evaluate(plan, data, trained, "evaluation")
    values = {**metrics(evaluation), **held}
    values |= {**plan.known, "chance": data.chance, "train_loss": last.train_loss}
    values |= _regimes(trained, data, plan.device)
    _require_finite(values)
    ledger.write_history(folder, plan.key, history)
    training = {
        "dtype": recipe.dtype_on(plan.device),
        "micro_batch": last.micro_batch,
        "continued_from": before["continued_from"],
        "weights_sha256": _keep(folder, plan.key, trained, evaluation),
    }
    told = {name: value for name, value in training.items() if value not in (None, [])}
    return {"metrics": values, "details": told, "earlier": before["seconds"]}


def _holdout(plan: Plan, data: Dataset, model: nn.Module) -> dict[str, float]:
    if not len(data.holdout.labels):
        return {}
    held = metrics(evaluate(plan, data, model, "holdout"))
    _require_finite(held)
    return {f"{HOLDOUT}{name}": value for name, value in held.items()}


def _history_row(
    plan: Plan, data: Dataset, epoch: Epoch, history: dict[str, list[Any]]
) -> Mapping[str, float]:
    """Append the epoch to the history and return what a live view shows of it."""
    split = plan.bands.curves if len(data.holdout.labels) else "evaluation"
    every, epochs = plan.bands.every, plan.arm.recipe.total_epochs
    wanted = every > 0 and (epoch.epoch % every == 0 or epoch.epoch == epochs)
    values: dict[str, float] = {}
    if wanted:
        scores = metrics(evaluate(plan, data, epoch.model, split))
        values = {name: scores[name] for name in ("top1", *plan.bands.metrics)}
    measured = {name: values.get(name) for name in ("top1", *plan.bands.metrics)}
    row = {"epoch": epoch.epoch, "train_loss": epoch.train_loss, "lr": epoch.lr, **measured}
    for name, value in row.items():
        history.setdefault(name, []).append(value)
    history["split"] = split  # type: ignore[assignment] # one word beside the columns
    return {"train_loss": epoch.train_loss, **values}


def _regimes(model: nn.Module, data: Dataset, device: str) -> dict[str, float]:
    """Return the share of pre-activations below 0 and above 6 on the first evaluation images."""
    x = first(data, _REGIME_IMAGES).to(device).float().div(255)
    x = (x - torch.tensor(data.mean, device=device)) / torch.tensor(data.std, device=device)
    regimes: dict[str, float] = activation_regimes(model, x.permute(0, 3, 1, 2))
    return regimes


def _require_finite(values: Mapping[str, float]) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        message = f"not finite after training: {', '.join(bad)}"
        raise DivergedError(message)


def _keep(folder: Path, key: str, model: nn.Module, scores: dict[str, Scores]) -> str:
    """Keep the evaluated weights and, per version of the images, the predicted classes.

    Returns the SHA-256 of the file of the weights.
    """
    weights = ledger.weights(folder, key)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    data = save(tensors)
    ledger.write_atomic(weights, data)
    predictions: dict[str, Any] = {name: score.predictions for name, score in scores.items()}
    np.savez_compressed(weights.with_suffix(".predictions.npz"), **predictions)
    return hashlib.sha256(data).hexdigest()
