"""Data sets given as arrays, such as a plugin's function returns."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gmsearch.data.formats import Decodable
from gmsearch.data.source import Source, Split, numbered
from gmsearch.errors import DataError
from gmsearch.experiment import DataSpec
from gmsearch.plain import digest

_CHUNK = 512


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Arrays:
    """Images and labels of both splits, in memory."""

    train_images: np.ndarray
    """uint8 (N, S, S, 3), RGB."""
    train_labels: np.ndarray
    """Integers (N,) from 0."""
    evaluation_images: np.ndarray
    """uint8 (M, S, S, 3), RGB."""
    evaluation_labels: np.ndarray
    """Integers (M,) from 0."""
    classes: tuple[str, ...] | None = None
    """Names of the classes; None numbers them."""


def stored_arrays(
    function: Callable[[Any], Arrays], *, named: str | None = None
) -> Callable[[Any], Decodable]:
    """Return the opener of a data set that a function of its spec returns as arrays.

    The identity is a digest of the arrays' bytes and the names of the classes.

    Args:
        function: Takes the spec, returns `Arrays`; called whenever the data set is opened.
        named: How a message names the data set; by default by the name in its spec.
    """

    def stored(spec: DataSpec) -> Decodable:
        source = _source(named or f"data set {spec.name}", function(spec))
        splits = [[_digest(part) for part in split] for split in _parts(source)]
        identity = digest({spec.name: splits, "classes": source.classes})
        return Decodable(identity=identity, source=lambda: source)

    return stored


def _parts(source: Source) -> Iterator[Iterator[np.ndarray]]:
    for split in (source.train, source.evaluation):
        yield _with_labels(split)


def _with_labels(split: Split) -> Iterator[np.ndarray]:
    yield split.labels
    yield from split.chunks()


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _source(what: str, arrays: object) -> Source:
    """Return the splits; raises DataError for arrays of any other form."""
    if not isinstance(arrays, Arrays):
        raise DataError(
            f"{what}: expected gmsearch.data.Arrays, got {type(arrays).__name__}; "
            "return Arrays(train_images=…, train_labels=…, …)"
        )
    train, evaluation = (
        _split(what, split, getattr(arrays, f"{split}_images"), labels)
        for split, labels in (
            ("train", arrays.train_labels),
            ("evaluation", arrays.evaluation_labels),
        )
    )
    classes = arrays.classes
    if classes is None:
        classes = numbered(train.labels, what)
    return Source(classes=classes, train=train, evaluation=evaluation)


def _split(what: str, split: str, images: Any, labels: Any) -> Split:
    try:
        images, labels = np.asarray(images), np.asarray(labels)
    except ValueError as error:
        raise DataError(f"{what}: {split}: {error}; make all images of one size") from None
    square = images.ndim == 4 and images.shape[1] == images.shape[2] and images.shape[3] == 3
    if images.dtype != np.uint8 or not square:
        raise DataError(
            f"{what}: expected {split}_images as uint8 (N, S, S, 3), got {images.dtype} "
            f"{images.shape}"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            f"{what}: expected {split}_labels as integers ({len(images)},), got "
            f"{labels.dtype} {labels.shape}"
        )
    return Split(labels=labels.astype(np.int64), chunks=functools.partial(_chunks, images))


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _CHUNK):
        yield images[start : start + _CHUNK]
