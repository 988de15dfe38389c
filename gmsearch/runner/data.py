"""The images of a plan, and a model's scores on one of their splits."""

from __future__ import annotations

import functools
import io
from collections.abc import Collection, Generator, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from gmsearch.bands import calibration_rows, evaluate_bands, evaluate_batches
from gmsearch.data import Dataset, ImageStream, load
from gmsearch.data.loader import StreamedBatches, evaluation_batches
from gmsearch.errors import DataError
from gmsearch.evaluate import Scores
from gmsearch.experiment import DataSpec, Decision, Plan, Progress, RemeasurePlan, TrainingPlan
from gmsearch.plugins.modules import metric_functions
from gmsearch.records import WorkRecord
from gmsearch.train import Batches, InMemory

Run = Generator[Progress, Decision | None, WorkRecord]
"""Work on a plan: yields after each epoch, may be sent "stop", and returns the record."""


@functools.lru_cache(maxsize=2)
def _cached_dataset(spec: DataSpec, identity: str) -> Dataset:
    data = load(spec)
    if data.identity != identity:
        message = f"the data at {spec.place} changed since the study began"
        raise DataError(message)
    return data


def dataset(plan: Plan) -> Dataset:
    """Return the data of a plan; raises DataError where they changed since the study began."""
    return _cached_dataset(plan.data, plan.data_identity)


def tensors(data: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """Return uint8 (N, H, W, C) and int64 (N,) that share the memory of the decoded cache."""
    images = getattr(data, split)
    return torch.from_numpy(images.images), torch.from_numpy(images.labels)


def first(data: Dataset, n: int) -> Tensor:
    """Return the first evaluation images: uint8 (N, H, W, C)."""
    images = data.evaluation
    if isinstance(images, ImageStream):
        rows = np.arange(min(n, len(images)))
        return torch.cat([pixels for pixels, _ in evaluation_batches(images, rows=rows)])
    return torch.from_numpy(images.images[:n])


def training_batches(plan: TrainingPlan, data: Dataset) -> Batches:
    """Return the batches of the training split as the recipe augments them."""
    recipe = plan.arm.recipe
    if isinstance(data.train, ImageStream):
        return StreamedBatches(data.train, recipe, device=plan.device, workers=_workers(plan))
    images, labels = tensors(data, "train")
    return InMemory(images, labels, recipe, mean=data.mean, std=data.std, device=plan.device)


def evaluate(
    plan: TrainingPlan | RemeasurePlan,
    data: Dataset,
    model: nn.Module,
    split: str,
    *,
    only: Collection[str] | None = None,
) -> dict[str, Scores]:
    """Return the scores of every version of the images of one split, or only of some."""
    images = getattr(data, split)
    extra = metric_functions(plan.plugins)
    if isinstance(images, ImageStream):
        return evaluate_batches(
            model,
            evaluation_batches(images, workers=_workers(plan)),
            bands=plan.bands,
            mean=data.mean,
            std=data.std,
            device=plan.device,
            training=_calibration_batches(plan, data),
            only=only,
            extra=extra,
        )
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
        extra=extra,
    )


def packed_predictions(scores: Mapping[str, Scores]) -> bytes:
    """Return the predicted classes of every version of the images as an .npz file."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **{name: one.predictions for name, one in scores.items()})  # type: ignore[arg-type] # the stubs take them for its flag
    return packed.getvalue()


def _calibration_batches(plan: Plan, data: Dataset) -> Iterator[Tensor]:
    """Yield the training images that batch-norm statistics are estimated on, on request."""
    assert isinstance(data.train, ImageStream)
    batches = [rows.numpy() for rows in calibration_rows(len(data.train))]
    wanted, size = np.concatenate(batches), len(batches[0])
    for pixels, _ in evaluation_batches(
        data.train, workers=_workers(plan), batch_size=size, rows=wanted
    ):
        yield pixels


def _workers(plan: Plan) -> int:
    """Return how many processes decode ahead within the threads of a plan.

    A GPU leaves them all to decoding. A network on the CPU takes one of them itself, and with a
    single one it decodes in turn, since a second process on one core would only take turns too.
    """
    return plan.threads if plan.device.startswith("cuda") else plan.threads - 1
