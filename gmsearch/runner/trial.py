"""Train one arm with one seed and measure it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from gmsearch import ledger
from gmsearch.bands import named_metrics
from gmsearch.data import Dataset
from gmsearch.errors import DivergedError
from gmsearch.evaluate import Scores
from gmsearch.experiment import Decision, Progress, TrainingPlan, TrialPlan, TuningPlan
from gmsearch.metrics import HOLDOUT
from gmsearch.models import activation_regimes, build
from gmsearch.records import TrialRecord
from gmsearch.runner import checkpoint
from gmsearch.runner.data import (
    Run,
    dataset,
    evaluate,
    first,
    packed_predictions,
    training_batches,
)
from gmsearch.train import Epoch, train

_REGIME_IMAGES = 256


class _Training:
    """Training of one plan, from its last checkpoint if there is one."""

    def __init__(self, plan: TrainingPlan, data: Dataset) -> None:
        """Build the model and read the checkpoint; nothing is trained yet."""
        self._start = time.perf_counter()
        torch.set_num_threads(plan.threads)
        torch.backends.cudnn.benchmark = True  # the batches of a training are of one shape
        self._plan = plan
        self._data = data
        self._folder = Path(plan.study_dir)
        torch.manual_seed(plan.seed)
        self._model = build(
            plan.arm.candidate,
            num_classes=len(data.classes),
            seed=plan.seed,
            resolution=data.resolution,
        ).to(plan.device)
        fresh: dict[str, Any] = {
            "training": None,
            "history": {},
            "seconds": 0.0,
            "continued_from": [],
        }
        self._state = checkpoint.read(self._folder, plan.key) or fresh
        if self._state["training"] is not None:
            self._state["continued_from"].append(self._state["training"]["epoch"])
        self.history: dict[str, Any] = self._state["history"]
        self.continued_from: list[int] = self._state["continued_from"]
        self.earlier_seconds: float = self._state["seconds"]
        """Seconds spent before the checkpoint was written."""
        self.stopped = False
        """Whether a scheduler stopped the training early."""

    def run(self) -> Generator[Progress, Decision | None, Epoch]:
        """Train, yielding after each epoch; return the last one."""
        plan, recipe = self._plan, self._plan.arm.recipe
        source, total = training_batches(plan, self._data), recipe.total_epochs
        last: Epoch | None = None
        for last in train(
            self._model, source, recipe, seed=plan.seed, state=self._state["training"]
        ):
            shown = _history_row(plan, self._data, last, self.history)
            every = recipe.checkpoint_every
            if every and last.epoch % every == 0 and last.epoch < total:
                self._write_checkpoint(last)
            progress = Progress(key=plan.key, epoch=last.epoch, epochs=total, metrics=shown)
            if (yield progress) == "stop" and last.epoch < total:
                self.stopped = True
                break
        assert last is not None, "a recipe has an epoch after every checkpoint"
        return last

    def _write_checkpoint(self, epoch: Epoch) -> None:
        seconds = self.earlier_seconds + time.perf_counter() - self._start
        state = {**self._state, "training": epoch.state(), "seconds": seconds}
        checkpoint.write(self._folder, self._plan.key, state)

    def describe(self, last: Epoch) -> dict[str, Any]:
        """Return the details that the recipe does not fix, as stored in records."""
        details = {
            "dtype": self._plan.arm.recipe.dtype_on(self._plan.device),
            "micro_batch": last.micro_batch,
            "continued_from": self.continued_from,
        }
        return {name: value for name, value in details.items() if value not in (None, [])}


def run_trial(plan: TrialPlan, _device_name: str) -> Run:
    """Train and evaluate, from the last checkpoint on if there is one.

    A trial stopped early keeps its history and its last metrics, but no weights.
    """
    data = dataset(plan)
    training = _Training(plan, data)
    last = yield from training.run()
    if training.stopped:
        return _pruned(plan, training, last)
    folder = Path(plan.study_dir)
    trained = last.model
    held = _holdout(plan, data, trained)
    evaluation = evaluate(plan, data, trained, "evaluation")
    values = {**named_metrics(evaluation), **held}
    values |= {**plan.known, "chance": data.chance, "train_loss": last.train_loss}
    values |= _regimes(trained, data, plan.device)
    _require_finite(values)
    ledger.write_history(folder, plan.key, training.history)
    sha256 = _keep(folder, plan.key, trained, evaluation)
    return plan.completed(
        values,
        training={**training.describe(last), "weights_sha256": sha256},
        seconds=training.earlier_seconds,
    )


def run_tuning(plan: TuningPlan, _device_name: str) -> Run:
    """Train and evaluate on the holdout only; nothing but the record is kept."""
    data = dataset(plan)
    training = _Training(plan, data)
    last = yield from training.run()
    held = _holdout(plan, data, last.model)
    return plan.completed(held, seconds=training.earlier_seconds)


def _pruned(plan: TrialPlan, training: _Training, last: Epoch) -> TrialRecord:
    """Write the history and return the record of a trial that was stopped after `last`."""
    history = training.history
    ledger.write_history(Path(plan.study_dir), plan.key, history)
    held = {f"{HOLDOUT}{name}": history[f"{HOLDOUT}{name}"][-1] for name in plan.watched}
    return plan.pruned(
        {**held, **plan.known, "train_loss": last.train_loss},
        training={**training.describe(last), "epochs": last.epoch},
        seconds=training.earlier_seconds,
    )


def _holdout(plan: TrainingPlan, data: Dataset, model: nn.Module) -> dict[str, float]:
    if not len(data.holdout.labels):
        return {}
    held = named_metrics(evaluate(plan, data, model, "holdout"))
    _require_finite(held)
    return {f"{HOLDOUT}{name}": value for name, value in held.items()}


def _history_row(
    plan: TrainingPlan, data: Dataset, epoch: Epoch, history: dict[str, Any]
) -> Mapping[str, float]:
    """Append the epoch to the history and return the metrics to report of it.

    The columns of bands.curves are None in epochs between `bands.every`. Those that a scheduler
    watches are of the holdout in every epoch, and named so.
    """
    split = plan.bands.curves if len(data.holdout.labels) else "evaluation"
    every, epochs = plan.bands.every, plan.arm.recipe.total_epochs
    columns = ("top1", *plan.bands.metrics)
    watched = plan.watched if isinstance(plan, TrialPlan) else ()
    scores: dict[str, Mapping[str, float]] = {}
    shown = every > 0 and (epoch.epoch % every == 0 or epoch.epoch == epochs)
    if shown:
        scores[split] = named_metrics(evaluate(plan, data, epoch.model, split))
    if watched and "holdout" not in scores:
        scores["holdout"] = named_metrics(evaluate(plan, data, epoch.model, "holdout"))
    values = {name: scores[split][name] for name in columns} if shown else {}
    held = {f"{HOLDOUT}{name}": scores["holdout"][name] for name in watched}
    _require_finite(held)
    measured = {name: values.get(name) for name in columns}
    row = {
        "epoch": epoch.epoch,
        "train_loss": epoch.train_loss,
        "lr": epoch.lr,
        **measured,
        **held,
    }
    for name, value in row.items():
        history.setdefault(name, []).append(value)
    history["split"] = split
    return {"train_loss": epoch.train_loss, **values, **held}


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
    """Save the evaluated weights and, per version of the images, the predicted classes.

    Weights that layers share are in the file under each of their names. Returns the SHA-256 of
    the file of the weights.
    """
    weights = ledger.weights(folder, key)
    data = save(_unshared(model.state_dict()))
    ledger.write_atomic(weights, data)
    ledger.write_atomic(weights.with_suffix(".predictions.npz"), packed_predictions(scores))
    return hashlib.sha256(data).hexdigest()


def _unshared(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous tensors, copied where another has the same memory."""
    taken: set[int] = set()
    tensors = {}
    for name, tensor in state.items():
        memory = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if memory in taken else tensor
        tensors[name] = tensors[name].contiguous()
        taken.add(memory)
    return tensors
