"""Whether the evaluation split is apart from the training split, which no result can show."""

from __future__ import annotations

import hashlib

import numpy as np

from gmsearch.data.source import Listed
from gmsearch.errors import DataError

_COMPARED = 16
"""Pairs of streamed images that are decoded and compared where all labels are alike."""


def repeated(train: np.ndarray, evaluation: np.ndarray) -> int:
    """Return how many evaluation images have the pixels of a training image."""
    known = {_digest(image) for image in train}
    return sum(_digest(image) in known for image in evaluation)


def require_apart(repeats: int, evaluation: int, where: str) -> None:
    """Raise DataError where every evaluation image is a training image."""
    if evaluation and repeats == evaluation:
        raise _same(where)


def require_listed_apart(listed: Listed, where: str) -> None:
    """Raise DataError where the two splits of a stream are the same images in the same order.

    Nothing is decoded unless all labels are alike, and then mostly one pair of images.
    """
    train, evaluation = listed.train, listed.evaluation
    if not np.array_equal(train.labels, evaluation.labels):
        return
    last = len(train.labels) - 1
    for index in sorted({round(i * last / (_COMPARED - 1)) for i in range(_COMPARED)}):
        try:
            one, other = (split.image(index) for split in (train, evaluation))
        except DataError:
            return  # reported where the image is used
        if one.size != other.size or one.tobytes() != other.tobytes():
            return
    raise _same(where)


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _same(where: str) -> DataError:
    return DataError(
        f"{where}: every evaluation image is a training image (the same pixels); expected two "
        "splits, got one split twice, or a copy or link of it; give the evaluation split images "
        "of its own"
    )
