"""Splits of a data set: arrays that are decoded once per machine, or streams."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from gmsearch.data import cache, holdout, stream
from gmsearch.data.formats import FORMATS, open_stored
from gmsearch.data.stream import ImageStream
from gmsearch.experiment import DataSpec, StreamableImages


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSet:
    """Labelled images."""

    images: np.ndarray
    """uint8 (N, S, S, 3); may be a read-only map of a file."""
    labels: np.ndarray
    """int64 (N,), from 0."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """A data set with its three splits; train and holdout are parts of the training split."""

    train: ImageSet | ImageStream
    holdout: ImageSet | ImageStream
    evaluation: ImageSet | ImageStream
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    """Mean pixel of train and holdout, per channel, in 0..1; of streams as the spec gives it."""
    std: tuple[float, float, float]
    """Population standard deviation of the same pixels; of streams as the spec gives it."""
    identity: str
    """Digest of everything that determines the pixels; independent of the share of the holdout."""
    identity_of: Literal["parameters", "bytes", "paths and sizes"]
    """What the identity is a digest of."""
    resolution: int
    """Height and width of the images in pixels."""
    chance: float
    """Share of the most frequent class of the evaluation split."""


def prepare(spec: DataSpec) -> str:
    """Decode a data set into the cache unless it is there; return its identity.

    Raises:
        DataError: for data that is missing, empty, damaged or in another form, naming the file.
        FieldError: for options that do not describe a data set.
    """
    decodable = open_stored(spec)
    cache.ensure(decodable.identity, decodable.source, spec.place)
    return decodable.identity


def load(spec: DataSpec) -> Dataset:
    """Return a data set, memory-mapped from the cache or streamed; decodes it if necessary.

    Images of a stream are read when requested.

    Raises:
        DataError: as `prepare`, and for a holdout that leaves a class untrained.
        FieldError: as `prepare`.
    """
    if isinstance(spec, StreamableImages) and spec.stream:
        return _load_streams(spec)
    identity = prepare(spec)
    decoded = cache.open_decoded(identity)
    held = holdout.size(decoded.train_labels, spec.holdout)
    images, labels = decoded.train_images, decoded.train_labels
    evaluation = decoded.evaluation_labels
    return Dataset(
        train=ImageSet(images=images[held:], labels=labels[held:]),
        holdout=ImageSet(images=images[:held], labels=labels[:held]),
        evaluation=ImageSet(images=decoded.evaluation_images, labels=evaluation),
        classes=decoded.classes,
        mean=decoded.mean,
        std=decoded.std,
        identity=identity,
        identity_of=FORMATS[spec.name].identity_of,
        resolution=images.shape[1],
        chance=_chance(evaluation),
    )


def _load_streams(spec: StreamableImages) -> Dataset:
    identity, listed, splits = stream.splits(spec)
    return Dataset(
        **splits,
        classes=listed.classes,
        mean=spec.mean,
        std=spec.std,
        identity=identity,
        identity_of="paths and sizes",
        resolution=spec.preprocessing.resolution,
        chance=_chance(listed.evaluation.labels),
    )


def _chance(labels: np.ndarray) -> float:
    return float(np.bincount(labels).max() / len(labels))
