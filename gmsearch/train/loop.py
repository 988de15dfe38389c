"""The loop over epochs and updates."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gmsearch.errors import DivergedError
from gmsearch.experiment import Recipe
from gmsearch.seeds import derive_seed
from gmsearch.train.depthwise import FastDepthwise
from gmsearch.train.mix import Mixer, Targets
from gmsearch.train.schedule import learning_rate
from gmsearch.train.state import Parts, copied

_CHECK_EVERY_CUDA = 32  # reading a loss waits for the device; on the CPU it costs nothing
_SMALLEST = 2  # batch norm needs two values per channel, which may be one per image

_log = logging.getLogger(__name__)


class Batches(Protocol):
    """Where batches come from: `InMemory`, or a stream of decoded images."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch, all of them full."""

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 (B, C, H, W) and int64 (B,) on the device of the network.

        Normalised and channels_last; the same for the same seed and epoch. A batch belongs to
        who takes it, and may be changed.
        """


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """The end of one epoch."""

    epoch: int
    """From 1."""
    train_loss: float
    """Mean over the updates of the epoch, label smoothing included."""
    lr: float
    """Learning rate of the last update."""
    model: nn.Module
    """What is to be evaluated: the network, or the average of its weights where the recipe has
    one; valid until the next epoch is asked for."""
    micro_batch: int | None
    """Images of one forward pass; None for the whole batch."""
    state: Callable[[], dict[str, Any]]
    """Returns all that `train` continues from: plain data and tensors, which share their memory
    with the training, and which `torch.load` reads with weights_only."""


def train(
    model: nn.Module,
    source: Batches,
    recipe: Recipe,
    *,
    seed: int,
    state: Mapping[str, Any] | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place and yield after each epoch.

    Where a batch does not fit in memory it is halved, and the epoch begun again.

    Args:
        model: the network, on the device it is to be trained on.
        source: the images, augmented.
        recipe: the hyper-parameters.
        seed: of order, augmentation and stochastic depth.
        state: what `Epoch.state` returned, to continue behind that epoch.

    Raises:
        DivergedError: at the first update whose loss is not finite.
        torch.OutOfMemoryError: where not even two images fit.
    """
    model.to(memory_format=torch.channels_last)
    loop = _Loop(Parts(model, recipe), source, recipe, seed)
    if state is not None:
        loop.parts.restore(state)
    while loop.parts.epoch < recipe.total_epochs:
        yield loop.epoch()


class _Loop:
    """One training."""

    def __init__(self, parts: Parts, source: Batches, recipe: Recipe, seed: int) -> None:
        self.parts = parts
        self.source = source
        self.recipe = recipe
        self.seed = seed
        self.device = next(parts.model.parameters()).device
        self.forward = _compiled(parts.model, recipe)
        self.bfloat16 = recipe.dtype_on(self.device.type) == "bfloat16"

    def epoch(self) -> Epoch:
        """Run the next epoch, in as many parts of each batch as memory asks."""
        parts = self.parts
        before = copied(parts.state())
        while True:
            try:
                losses, lr = self._updates(parts.epoch + 1)
                break
            except torch.OutOfMemoryError:
                size = min(parts.micro_batch or self.recipe.batch_size, self.recipe.batch_size)
                if size <= _SMALLEST:
                    raise
            # Out here, where the error no longer holds on to the tensors of the failed update.
            self._clear()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            before["micro_batch"] = max(_SMALLEST, -(-size // 2))
            parts.restore(before)
            _log.warning(
                "out of memory: epoch %d begins again with %d images a forward pass",
                parts.epoch + 1,
                parts.micro_batch,
            )
        parts.epoch += 1
        return Epoch(
            epoch=parts.epoch,
            train_loss=float(torch.stack(losses).double().mean()),
            lr=lr,
            model=parts.model if parts.average is None else parts.average.module,
            micro_batch=parts.micro_batch,
            state=parts.state,
        )

    def _updates(self, epoch: int) -> tuple[list[Tensor], float]:
        """Run the updates of one epoch; return their losses and the last learning rate."""
        parts, n = self.parts, len(self.source)
        parts.model.train()
        torch.manual_seed(derive_seed(self.seed, "network", epoch))
        mixer = Mixer(self.recipe, self.seed, epoch, self.device)
        check_every = 1 if self.device.type == "cpu" else _CHECK_EVERY_CUDA
        losses: list[Tensor] = []
        lr = 0.0
        for step, (x, y) in enumerate(self.source.epoch(self.seed, epoch), start=1):
            lr = learning_rate(self.recipe, (epoch - 1) * n + step - 1, n)
            for group in parts.optimizer.param_groups:
                group["lr"] = lr
            losses.append(self._update(*mixer(x, y)))
            if step % check_every == 0 or step == n:
                _require_finite(losses, epoch)
        return losses, lr

    def _update(self, x: Tensor, targets: Targets) -> Tensor:
        """Take one step of the optimiser; return the loss."""
        parts = self.parts
        loss = self._gradients(x, targets)
        if self.recipe.clip_grad is not None:
            nn.utils.clip_grad_norm_(parts.model.parameters(), self.recipe.clip_grad)
        parts.optimizer.step()
        if parts.average is not None:
            parts.average.update_parameters(parts.model)
        return loss

    def _gradients(self, x: Tensor, targets: Targets) -> Tensor:
        """Set the gradients of the mean loss, summed over the parts of the batch; return it."""
        self._clear()
        count = -(-len(x) // (self.parts.micro_batch or len(x)))
        total = torch.zeros((), device=x.device)
        for part, wanted in zip(x.tensor_split(count), targets.split(count), strict=True):
            if self.recipe.compile == "reduce-overhead":
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call] # torch gives it no types
            with self._kernels():
                logits = self.forward(part)
            loss = wanted.loss(logits.float(), self.recipe.label_smoothing) * (len(part) / len(x))
            loss.backward()  # type: ignore[no-untyped-call] # likewise
            total += loss.detach()
        return total

    def _kernels(self) -> contextlib.AbstractContextManager[object]:
        """Return what the forward pass is made in."""
        if self.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        fast = self.device.type == "cpu" and self.recipe.compile == "none"
        return FastDepthwise() if fast else contextlib.nullcontext()

    def _clear(self) -> None:
        # What CUDA graphs write to is theirs: gradients are added up in memory of our own.
        self.parts.optimizer.zero_grad(set_to_none=self.recipe.compile != "reduce-overhead")


def _compiled(model: nn.Module, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """Return what the forward pass calls; the network itself keeps its names and its weights."""
    if recipe.compile == "none":
        return model
    # A worker trains one network after another, and torch gives up after a few of one class.
    torch.compiler.reset()
    if recipe.compile == "reduce-overhead":
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
    compiled: Callable[[Tensor], Tensor] = torch.compile(model, mode=recipe.compile, dynamic=False)
    return compiled


def _require_finite(losses: list[Tensor], epoch: int) -> None:
    values = torch.stack(losses[-_CHECK_EVERY_CUDA:])
    if bool(values.isfinite().all()):
        return
    bad = next(i for i, loss in enumerate(losses) if not bool(loss.isfinite()))
    raise DivergedError(f"loss is {float(losses[bad])} at epoch {epoch}, step {bad + 1}")
