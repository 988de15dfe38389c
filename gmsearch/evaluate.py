"""From logits to scores. It knows nothing of models, data or bands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.nn import functional

MetricFunction = Callable[[torch.Tensor, torch.Tensor], float]
"""A number from logits (N, K), float32, and labels (N,), int64."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """How well one set of logits fits its labels."""

    top1: float
    """Share of the images whose largest logit is the label's."""
    top5: float
    """Share with the label among the five largest; 1 where there are at most five classes."""
    loss: float
    """Mean cross-entropy in nats, without label smoothing."""
    majority: float
    """Share of the class that is predicted most often; near 1 for a network that gave up."""
    predictions: np.ndarray
    """Predicted class of every image, (N,), uint8 where it suffices, else int64."""
    extra: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Values of metrics that plugins add, by name."""


def score(
    logits: torch.Tensor,
    labels: torch.Tensor,
    extra: Mapping[str, MetricFunction] | None = None,
) -> Scores:
    """Score logits (N, K) against labels (N,); equal logits count for the lower class.

    `extra` are metrics by name that are evaluated as well.

    Logits that are not finite give a loss that is not finite; the accuracies then mean nothing.

    Raises:
        ValueError: Where there is no image, or the shapes do not match.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise ValueError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} are not (N, K), (N,)"
        )
    n_classes = logits.shape[1]
    ranked = logits.argsort(dim=1, descending=True, stable=True)[:, :5]  # (N, up to 5)
    right = ranked == labels[:, None]
    losses = functional.cross_entropy(logits.float(), labels, reduction="none")
    predictions = ranked[:, 0].cpu().numpy()
    return Scores(
        top1=right[:, 0].double().mean().item(),
        top5=right.any(dim=1).double().mean().item(),
        loss=losses.double().mean().item(),
        majority=float(np.bincount(predictions).max() / len(predictions)),
        predictions=predictions.astype(np.uint8 if n_classes <= 256 else np.int64),
        extra={name: function(logits, labels) for name, function in (extra or {}).items()},
    )
