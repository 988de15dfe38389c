"""Train one arm with one seed and measure it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from gmsearch import ledger
from gmsearch.bands import metrics
from gmsearch.candidate import GmNet
from gmsearch.data import Dataset
from gmsearch.errors import DivergedError
from gmsearch.evaluate import Scores
from gmsearch.models import activation_regimes, build
from gmsearch.runner.images import Run, dataset, evaluate, tensors
from gmsearch.train import Epoch, train
from gmsearch.trial import HOLDOUT, Plan, Progress

_REGIME_IMAGES = 256


def run_trial(plan: Plan) -> Run:
    """Train and evaluate; return the metrics of the record."""
    torch.set_num_threads(plan.threads)
    data = dataset(plan)
    candidate, recipe = plan.arm.candidate, plan.arm.recipe
    torch.manual_seed(plan.seed)
    model = build(candidate, num_classes=len(data.classes), seed=plan.seed).to(plan.device)
    images, labels = tensors(data, "train")
    history: dict[str, list[Any]] = {}
    last: Epoch | None = None
    steps = train(model, images, labels, recipe, mean=data.mean, std=data.std, seed=plan.seed)
    for last in steps:
        shown = _history_row(plan, data, last, history)
        yield Progress(key=plan.key, epoch=last.epoch, epochs=recipe.epochs, metrics=shown)
    assert last is not None, "a recipe has at least one epoch"
    trained = last.model
    evaluation = evaluate(plan, data, trained, "evaluation")
    values = metrics(evaluation)
    if len(data.holdout.labels):
        held = metrics(evaluate(plan, data, trained, "holdout"))
        values |= {f"{HOLDOUT}{name}": value for name, value in held.items()}
    values |= {**plan.known, "chance": data.chance, "train_loss": last.train_loss}
    if isinstance(candidate, GmNet):
        values |= _regimes(trained, data, plan.device)
    _require_finite(values)
    folder = Path(plan.study_dir)
    ledger.write_history(folder, plan.key, history)
    _keep(folder, plan.key, trained, evaluation)
    return {"metrics": values}


def _history_row(
    plan: Plan, data: Dataset, epoch: Epoch, history: dict[str, list[Any]]
) -> Mapping[str, float]:
    """Append the epoch to the history and return what a live view shows of it."""
    split = plan.bands.curves if len(data.holdout.labels) else "evaluation"
    every, epochs = plan.bands.every, plan.arm.recipe.epochs
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
    images, _ = tensors(data, "evaluation")
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
