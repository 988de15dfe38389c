"""From a data spec to its splits: arrays that are prepared once per machine, or streams."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal

import numpy as np

from gmsearch.data import cache, holdout, spectral, stream
from gmsearch.data.source import Source
from gmsearch.data.stream import ImageStream
from gmsearch.experiment import DataSpec, Spectral, Stored, Streamed


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
    """One data set with its three splits; train and holdout are parts of the training split."""

    train: ImageSet | ImageStream
    holdout: ImageSet | ImageStream
    evaluation: ImageSet | ImageStream
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    """Of the pixels of train and holdout, per channel, in 0..1; of streams what the spec says."""
    std: tuple[float, float, float]
    """Population standard deviation of the same pixels; of streams what the spec says."""
    identity: str
    """Digest of what determines the pixels; the holdout's share is not part of it."""
    identity_of: Literal["parameters", "bytes", "paths and sizes"]
    """What the identity is a digest of: a generator's parameters, or what of the files."""
    resolution: int
    """Height and width in pixels."""
    chance: float
    """Share of the most frequent class of the evaluation split."""


def prepare(spec: Spectral | Stored) -> str:
    """Decode a data set into the cache unless it is there; return its identity.

    Raises:
        DataError: For data that is missing, empty, damaged or of another form, naming the file.
        FieldError: For parameters of `spectral` that give no data set.
    """
    identity, source = _reader(spec)
    cache.ensure(identity, source, _where(spec))
    return identity


def load(spec: DataSpec) -> Dataset:
    """Return a data set memory-mapped from the cache, prepared if need be, or streams.

    No image of a stream is read before it is asked for.

    Raises:
        DataError: As `prepare`, and for a holdout that leaves a class untrained.
        FieldError: As `prepare`.
    """
    if isinstance(spec, Streamed):
        return _streamed(spec)
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
        identity_of="parameters" if isinstance(spec, Spectral) else "bytes",
        resolution=images.shape[1],
        chance=_chance(evaluation),
    )


def _streamed(spec: Streamed) -> Dataset:
    identity, listed, splits = stream.splits(spec)
    return Dataset(
        **splits,
        classes=listed.classes,
        mean=spec.mean,
        std=spec.std,
        identity=identity,
        identity_of="paths and sizes",
        resolution=spec.resolution,
        chance=_chance(listed.evaluation.labels),
    )


def _chance(labels: np.ndarray) -> float:
    return float(np.bincount(labels).max() / len(labels))


def _reader(spec: Spectral | Stored) -> tuple[str, Callable[[], Source]]:
    """Return the identity of a data set and what reads it when it is not in the cache."""
    if isinstance(spec, Spectral):
        return spectral.identity(spec), functools.partial(spectral.source, spec)
    if spec.name == "parquet":
        from gmsearch.data import parquet

        return parquet.identity(spec), functools.partial(parquet.source, spec)
    if spec.name == "folder":
        from gmsearch.data import folder

        return folder.identity(spec), functools.partial(folder.source, spec)
    from gmsearch.data import cifar

    return cifar.identity(spec), functools.partial(cifar.source, spec)


def _where(spec: Spectral | Stored) -> str:
    return spec.name if isinstance(spec, Spectral) else spec.root
