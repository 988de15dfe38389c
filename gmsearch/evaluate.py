"""Scores of logits, independent of models, data and bands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

MetricFunction = Callable[[Tensor, Tensor], float]
"""A function that returns a number from logits (N, K), float32, and labels (N,), int64."""

_PENDING = 2**22
"""Logits that are kept before they are reduced to a few numbers per image: 16 MB."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """How well one set of logits fits its labels."""

    top1: float
    """Share of images whose largest logit is the label's."""
    top5: float
    """Share of images with the label among the five largest; 1 with at most five classes."""
    loss: float
    """Mean cross-entropy in nats, without label smoothing."""
    majority: float
    """Share of the class predicted most often; near 1 for a network that has collapsed."""
    predictions: np.ndarray
    """Predicted class of every image: (N,), uint8 for up to 256 classes, else int64."""
    extra: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Metrics that are measured on every version of the images, such as a plugin's, by name."""

    def on_whole_images(self) -> dict[str, float]:
        """Return the metrics by name where the images are whole; a band has its top1 only."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss}


class Tally:
    """Collects logits batch by batch and scores them at the end.

    Logits are reduced to three numbers per image as they come; they are kept only for metrics
    that need all of them. How images are split into batches does not change a score.
    """

    def __init__(self, extra: Mapping[str, MetricFunction] | None = None) -> None:
        """Start empty; `extra` are metrics by name that are evaluated on all logits."""
        self._extra = dict(extra or {})
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._pending_size = 0
        self._reduced: list[tuple[Tensor, Tensor, Tensor]] = []
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._classes = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add one batch.

        Args:
            logits: float (N, K).
            labels: int64 (N,), on the same device.

        Raises:
            ValueError: where the shapes do not match.
        """
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} are not (N, K), "
                "(N,)"
            )
        self._classes = logits.shape[1]
        self._pending.append((logits, labels))
        self._pending_size += logits.numel()
        if self._pending_size > _PENDING:
            self._reduce()

    def _reduce(self) -> None:
        """Reduce the pending logits; equal logits count for the lower class."""
        logits, labels = (torch.cat(parts) for parts in zip(*self._pending, strict=True))
        self._pending.clear()
        self._pending_size = 0
        ranked = logits.argsort(dim=1, descending=True, stable=True)[:, :5]  # (N, up to 5)
        right = ranked == labels[:, None]
        losses = functional.cross_entropy(logits.float(), labels, reduction="none")
        self._reduced.append((right, losses, ranked[:, 0]))
        if self._extra:
            self._kept.append((logits, labels))

    def scores(self) -> Scores:
        """Return the scores of all batches.

        Logits that are not finite give a loss that is not finite; the accuracies are then
        meaningless.

        Raises:
            ValueError: where no image was added.
        """
        if self._pending:
            self._reduce()
        if not any(len(losses) for _, losses, _ in self._reduced):
            raise ValueError("there are no logits and labels to score; add a batch first")
        right, losses, first = (torch.cat(parts) for parts in zip(*self._reduced, strict=True))
        predictions = first.cpu().numpy()
        return Scores(
            top1=right[:, 0].double().mean().item(),
            top5=right.any(dim=1).double().mean().item(),
            loss=losses.double().mean().item(),
            majority=float(np.bincount(predictions).max() / len(predictions)),
            predictions=predictions.astype(np.uint8 if self._classes <= 256 else np.int64),
            extra=self._further(),
        )

    def _further(self) -> dict[str, float]:
        """Return the values of the further metrics."""
        if not self._extra:
            return {}
        logits, labels = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        return {name: function(logits, labels) for name, function in self._extra.items()}


def score(
    logits: Tensor, labels: Tensor, extra: Mapping[str, MetricFunction] | None = None
) -> Scores:
    """Return the scores of logits (N, K) and labels (N,); see `Tally`."""
    tally = Tally(extra)
    tally.add(logits, labels)
    return tally.scores()
