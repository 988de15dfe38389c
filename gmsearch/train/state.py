"""State of a training between two epochs: network, optimiser, average of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gmsearch.experiment import Recipe


class TrainState:
    """Network, optimiser and average of the weights of one training."""

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        """Build the optimiser and the average that the recipe asks for."""
        self.model = model
        self.optimizer = _optimizer(model, recipe)
        self.average = (
            AveragedModel(model, multi_avg_fn=_ema(recipe.ema), use_buffers=True)
            if recipe.ema is not None
            else None
        )
        self.micro_batch = recipe.micro_batch
        self.epoch = 0
        """Number of finished epochs."""

    def state(self) -> dict[str, Any]:
        """Return plain data and tensors; the tensors share memory with the training."""
        return {
            "epoch": self.epoch,
            "micro_batch": self.micro_batch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned; it is copied."""
        self.epoch = state["epoch"]
        self.micro_batch = state["micro_batch"]
        self.model.load_state_dict(state["model"])
        # Unlike a module, an optimiser keeps the given tensors themselves.
        self.optimizer.load_state_dict(copied(state["optimizer"]))
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def copied(tree: Any) -> Any:
    """Return nested dicts and lists with their tensors copied, each on its device."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().clone()
    if isinstance(tree, Mapping):
        return {key: copied(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [copied(value) for value in tree]
    return tree


def _ema(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # torch gives it no types


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Build the optimiser; tensors of one dimension are not decayed (timm's convention)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(
            groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=True
        )
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)
