"""Learning rate of every update."""

from __future__ import annotations

import math

from gmsearch.experiment import Recipe


def learning_rate(recipe: Recipe, update: int, updates_per_epoch: int) -> float:
    """Return the rate of `update`, from 0.

    Linear warm-up, then the cosine of the whole schedule, then the smallest rate:
    timm's CosineLRScheduler stepped at every update (`--sched-on-updates`), where its scripts
    step once per epoch by default.
    """
    warmup = recipe.warmup_epochs * updates_per_epoch
    if update < warmup:
        return recipe.warmup_lr + update * (recipe.lr - recipe.warmup_lr) / warmup
    if recipe.schedule == "constant":
        return recipe.lr
    total = recipe.epochs * updates_per_epoch
    if update >= total:
        return recipe.min_lr
    span = recipe.lr - recipe.min_lr
    return recipe.min_lr + 0.5 * span * (1 + math.cos(math.pi * update / total))
