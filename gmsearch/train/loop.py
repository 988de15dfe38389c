"""Training loop over epochs and updates."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gmsearch.environment import without_tf32_advice
from gmsearch.errors import DivergedError
from gmsearch.experiment import Recipe
from gmsearch.seeds import derive_seed
from gmsearch.train.depthwise import FastDepthwise
from gmsearch.train.mix import Mixer, Targets
from gmsearch.train.schedule import learning_rate
from gmsearch.train.shortage import is_shortage
from gmsearch.train.state import TrainState, copied

_CHECK_EVERY_CUDA = 32  # reading a loss waits for the device; on the CPU it costs nothing
_SMALLEST = 2  # batch norm needs two values per channel, which may be one per image

_log = logging.getLogger(__name__)


class Batches(Protocol):
    """Source of training batches: images in memory or a stream of decoded images."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch, all of them full."""

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 (B, C, H, W) and int64 (B,) on the device of the network.

        Normalised and channels_last; the same for the same seed and epoch. The caller may modify
        a batch.
        """


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """State of a training at the end of an epoch."""

    epoch: int
    """Number of the epoch, from 1."""
    train_loss: float
    """Mean loss over the updates of the epoch, label smoothing included."""
    lr: float
    """Learning rate of the last update."""
    model: nn.Module
    """Network to evaluate: the trained one, or the moving average of its weights if the recipe has
    one; valid until the next epoch starts."""
    micro_batch: int | None
    """Images per forward pass; None for the whole batch."""
    state: Callable[[], dict[str, Any]]
    """Returns the state that `train` resumes from: plain data and tensors that share memory with
    the training, readable by `torch.load` with weights_only."""


def train(
    model: nn.Module,
    source: Batches,
    recipe: Recipe,
    *,
    seed: int,
    state: Mapping[str, Any] | None = None,
) -> Iterator[Epoch]:
    """Train `model` in place and yield after each epoch.

    A batch that does not fit in memory is halved, and the epoch restarts.

    The dtype of the recipe is that of the forward passes. Float32 keeps PyTorch's settings, which
    on a GPU are by default TF32 in convolutions and true float32 in matrix products; evaluation
    and timing use true float32 throughout.

    Args:
        model: the network, on the device it is to be trained on.
        source: the images, augmented.
        recipe: the hyper-parameters.
        seed: seed of order, augmentation and stochastic depth.
        state: what `Epoch.state` returned, to resume after that epoch.

    Raises:
        DivergedError: at the first update whose loss is not finite.
        RuntimeError, MemoryError: where not even two images fit; see `is_shortage`.
    """
    model.to(memory_format=torch.channels_last)
    loop = _Loop(TrainState(model, recipe), source, recipe, seed)
    if state is not None:
        loop.state.restore(state)
    while loop.state.epoch < recipe.total_epochs:
        yield loop.epoch()


class _Loop:
    """State of a training run in progress."""

    def __init__(self, state: TrainState, source: Batches, recipe: Recipe, seed: int) -> None:
        self.state = state
        self.source = source
        self.recipe = recipe
        self.seed = seed
        self.device = next(state.model.parameters()).device
        self.forward = _compiled(state.model, recipe)
        self.bfloat16 = recipe.dtype_on(self.device.type) == "bfloat16"

    def epoch(self) -> Epoch:
        """Run the next epoch, with batches split as often as memory requires."""
        if self.recipe.compile == "none":
            return self._epoch()
        with without_tf32_advice():
            return self._epoch()

    def _epoch(self) -> Epoch:
        state = self.state
        before = copied(state.state())
        while True:
            try:
                losses, lr = self._updates(state.epoch + 1)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
                size = min(state.micro_batch or self.recipe.batch_size, self.recipe.batch_size)
                if size <= _SMALLEST:
                    raise
            # Outside the handler, where the error no longer refers to the failed update's tensors.
            self._clear()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            before["micro_batch"] = max(_SMALLEST, -(-size // 2))
            state.restore(before)
            _log.warning(
                "out of memory: epoch %d restarts with %d images per forward pass",
                state.epoch + 1,
                state.micro_batch,
            )
        state.epoch += 1
        return Epoch(
            epoch=state.epoch,
            train_loss=float(torch.stack(losses).double().mean()),
            lr=lr,
            model=state.model if state.average is None else state.average.module,
            micro_batch=state.micro_batch,
            state=state.state,
        )

    def _updates(self, epoch: int) -> tuple[list[Tensor], float]:
        """Run the updates of one epoch; return their losses and the last learning rate."""
        state, n = self.state, len(self.source)
        state.model.train()
        torch.manual_seed(derive_seed(self.seed, "network", epoch))
        mixer = Mixer(self.recipe, self.seed, epoch, self.device)
        check_every = 1 if self.device.type == "cpu" else _CHECK_EVERY_CUDA
        losses: list[Tensor] = []
        lr = 0.0
        for step, (x, y) in enumerate(self.source.epoch(self.seed, epoch), start=1):
            lr = learning_rate(self.recipe, (epoch - 1) * n + step - 1, n)
            for group in state.optimizer.param_groups:
                group["lr"] = lr
            losses.append(self._update(*mixer(x, y)))
            if step % check_every == 0 or step == n:
                _require_finite(losses, epoch)
        return losses, lr

    def _update(self, x: Tensor, targets: Targets) -> Tensor:
        """Take one step of the optimiser; return the loss."""
        state = self.state
        loss = self._gradients(x, targets)
        if self.recipe.clip_grad is not None:
            nn.utils.clip_grad_norm_(state.model.parameters(), self.recipe.clip_grad)
        state.optimizer.step()
        if state.average is not None:
            state.average.update_parameters(state.model)
        return loss

    def _gradients(self, x: Tensor, targets: Targets) -> Tensor:
        """Set the gradients of the mean loss, summed over the parts of the batch; return it."""
        self._clear()
        count = -(-len(x) // (self.state.micro_batch or len(x)))
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
        """Return the context of the forward pass."""
        if self.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        fast = self.device.type == "cpu" and self.recipe.compile == "none"
        return FastDepthwise() if fast else contextlib.nullcontext()

    def _clear(self) -> None:
        # CUDA graphs own the memory they write to, so gradients need memory that stays ours.
        self.state.optimizer.zero_grad(set_to_none=self.recipe.compile != "reduce-overhead")


def _compiled(model: nn.Module, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """Return the forward pass; the network itself keeps its parameter names and weights."""
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
