"""The images of a plan, and a model's scores on one of their splits."""

from __future__ import annotations

import functools
from collections.abc import Collection, Generator
from typing import Any

import torch
from torch import Tensor, nn

from gmsearch.bands import evaluate_bands
from gmsearch.data import Dataset, load
from gmsearch.errors import DataError
from gmsearch.evaluate import Scores
from gmsearch.trial import Plan, Progress

Run = Generator[Progress, None, dict[str, Any]]


@functools.lru_cache(maxsize=2)
def _cached_dataset(spec: Any, identity: str) -> Dataset:
    data = load(spec)
    if data.identity != identity:
        message = f"the data at {getattr(spec, 'root', spec.name)} changed since the study began"
        raise DataError(message)
    return data


def dataset(plan: Plan) -> Dataset:
    """Return the data of a plan; raises DataError where they changed since the study began."""
    return _cached_dataset(plan.data, plan.data_identity)


def tensors(data: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """Return uint8 (N, H, W, C) and int64 (N,) that share the memory of the decoded cache."""
    images = getattr(data, split)
    return torch.from_numpy(images.images), torch.from_numpy(images.labels)


def evaluate(
    plan: Plan,
    data: Dataset,
    model: nn.Module,
    split: str,
    *,
    only: Collection[str] | None = None,
) -> dict[str, Scores]:
    """Return the scores of every version of the images of one split, or only of some."""
    images, labels = tensors(data, split)
    training, _ = tensors(data, "train")
    return evaluate_bands(
        model,
        images,
        labels,
        bands=plan.bands,
        mean=data.mean,
        std=data.std,
        device=plan.device,
        training=training,
        only=only,
    )
