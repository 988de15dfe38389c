"""Holdout: the part of the training split that is used for selection.

It is stratified and fixed by the data's identity. The cache orders the training split so that a
holdout of any share is a prefix, and the holdout and the rest are views of one memory map.
"""

from __future__ import annotations

import numpy as np

from gmsearch.errors import DataError


def positions(labels: np.ndarray, identity: str) -> np.ndarray:
    """Return the position of every image in the cache's order: int64 (N,), a permutation.

    Within a class the images are shuffled, and the i-th of n gets the fraction i/n. Images are
    ordered by that fraction, then by class.
    """
    rng = np.random.default_rng(int(identity, 16))
    fraction = np.empty(len(labels))
    for members in _by_class(labels):
        fraction[rng.permutation(members)] = np.arange(len(members)) / len(members)
    places = np.empty(len(labels), dtype=np.int64)
    places[np.lexsort((labels, fraction))] = np.arange(len(labels))
    return places


def size(labels: np.ndarray, share: float) -> int:
    """Return the number of images held out: the share of every class, rounded up.

    Raises:
        DataError: where a class would lose its last image.
    """
    counts = np.array([len(members) for members in _by_class(labels)])
    held = np.array([int((np.arange(n) / n < share).sum()) for n in counts])
    if (held == counts).any():
        raise DataError(
            f"data.holdout {share:g} leaves no training image of a class with "
            f"{int(counts.min())}; lower it, or set it to 0"
        )
    return int(held.sum())


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
