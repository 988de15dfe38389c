"""Training of one network on images that live in memory, one epoch at a time.

The images stay uint8 on the device and are cropped, flipped and normalised there in whole
batches. Order, augmentation and stochastic depth of an epoch depend on (seed, epoch) alone, so
every arm of one seed sees the same data in the same order. It does not evaluate.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gmsearch.candidate import Recipe
from gmsearch.errors import DivergedError

_CHECK_EVERY_CUDA = 32  # reading a loss waits for the device; on the CPU it costs nothing


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """The end of one epoch."""

    epoch: int
    """From 1."""
    train_loss: float
    """Mean over the steps of the epoch, label smoothing included."""
    lr: float
    """Learning rate of the last step."""
    model: nn.Module
    """What is to be evaluated: the network, or the average of its weights where the recipe has
    one; valid until the next epoch is asked for."""


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
) -> Iterator[Epoch]:
    """Train `model` in place and yield after each epoch.

    Args:
        model: the network, on the device it is to be trained on.
        images: uint8 (N, H, W, C), on any device.
        labels: int64 (N,).
        recipe: the hyper-parameters.
        mean: per channel, of pixel values in 0..1; taken off before division by `std`.
        std: per channel.
        seed: of order, augmentation and stochastic depth.

    Raises:
        DivergedError: at the first step whose loss is not finite.
    """
    device = next(model.parameters()).device
    model.to(memory_format=torch.channels_last)
    batches = _Batches(images.to(device), labels.to(device), recipe, mean, std)
    optimizer = _optimizer(model, recipe)
    average = (
        AveragedModel(model, multi_avg_fn=_ema(recipe.ema), use_buffers=True)
        if recipe.ema is not None
        else None
    )
    check_every = 1 if device.type == "cpu" else _CHECK_EVERY_CUDA
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        torch.manual_seed(_stream(seed, "network", epoch))
        losses: list[Tensor] = []
        lr = 0.0
        for step, (x, y) in enumerate(batches.epoch(seed, epoch), start=1):
            lr = learning_rate(recipe, (epoch - 1) * len(batches) + step, len(batches))
            for group in optimizer.param_groups:
                group["lr"] = lr
            losses.append(_step(model, optimizer, x, y, recipe))
            if average is not None:
                average.update_parameters(model)
            if step % check_every == 0 or step == len(batches):
                _require_finite(losses, epoch)
        yield Epoch(
            epoch=epoch,
            train_loss=float(torch.stack(losses).double().mean()),
            lr=lr,
            model=model if average is None else average.module,
        )


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the rate of `step`, from 1: linear warm-up from zero, then the schedule."""
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step <= warmup:
        return recipe.lr * step / warmup
    if recipe.schedule == "constant":
        return recipe.lr
    total = recipe.epochs * steps_per_epoch
    done = (step - 1 - warmup) / max(1.0, total - warmup)
    return recipe.min_lr + (recipe.lr - recipe.min_lr) * 0.5 * (1 + math.cos(math.pi * done))


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, recipe: Recipe
) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
        logits = model(x)
    loss = functional.cross_entropy(logits.float(), y, label_smoothing=recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call] # torch leaves it without types
    if recipe.clip_grad is not None:
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_grad)
    optimizer.step()
    return loss.detach()


def _require_finite(losses: list[Tensor], epoch: int) -> None:
    values = torch.stack(losses[-_CHECK_EVERY_CUDA:])
    if bool(values.isfinite().all()):
        return
    bad = next(i for i, loss in enumerate(losses) if not bool(loss.isfinite()))
    raise DivergedError(f"loss is {float(losses[bad])} at epoch {epoch}, step {bad + 1}")


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


def _stream(seed: int, purpose: str, epoch: int) -> int:
    """Return a seed of its own for each purpose, so that streams do not run in step."""
    text = f"{seed}/{purpose}/{epoch}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) >> 1


class _Batches:
    """Augmented, normalised, channels_last batches of images that stay uint8 on the device."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        recipe: Recipe,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.recipe = recipe
        self.labels = labels
        self.size = images.shape[1]
        self.margin = self.size // 8 if recipe.augment == "crop_flip" else 0
        self.images = self._padded(images)
        device = images.device
        # One multiplication and one addition per pixel: (x / 255 - mean) / std.
        self.scale = 1 / (255 * torch.tensor(std, device=device))
        self.shift = -torch.tensor(mean, device=device) / torch.tensor(std, device=device)
        # A last short batch would give batch norm other statistics than all the rest.
        self.batch_size = min(recipe.batch_size, len(labels))

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def _padded(self, images: Tensor) -> Tensor:
        if self.margin == 0:
            return images
        index = torch.arange(-self.margin, self.size + self.margin, device=images.device).abs()
        index = torch.where(index < self.size, index, 2 * (self.size - 1) - index)
        return images[:, index][:, :, index]

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 (B, C, H, W) and int64 (B,); drawn on the CPU, alike on every device."""
        generator = torch.Generator().manual_seed(_stream(seed, "data", epoch))
        n, device = len(self.labels), self.images.device
        order = torch.randperm(n, generator=generator).to(device)
        flips = torch.rand(n, generator=generator).lt(0.5).to(device)
        shifts = torch.randint(2 * self.margin + 1, (2, n), generator=generator).to(device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            rows = slice(start, start + self.batch_size)
            index = order[rows]
            x = self._augmented(index, flips[rows], shifts[:, rows])
            x = torch.addcmul(self.shift, x.float(), self.scale)
            yield x.permute(0, 3, 1, 2), self.labels[index]

    def _augmented(self, index: Tensor, flip: Tensor, shift: Tensor) -> Tensor:
        """Return uint8 (B, H, W, C): crop and flip as one gather."""
        if self.recipe.augment == "none":
            return self.images[index]
        along = torch.arange(self.size, device=index.device)
        columns = torch.where(flip[:, None], along.flip(0), along) + shift[1][:, None]
        rows = along + shift[0][:, None]
        return self.images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
