"""The part of the training split that selection sees: stratified, fixed by the data's identity.

The cache keeps the training split in an order in which every holdout, whatever its share, is a
prefix. So the holdout and the rest are views of one memory map.
"""

from __future__ import annotations

import numpy as np

from gmsearch.errors import DataError


def positions(labels: np.ndarray, identity: str) -> np.ndarray:
    """Return the place of every image in the cache's order: (N,), a permutation.

    Within a class the images are shuffled, and the i-th of n stands at the fraction i/n. The
    order is by that fraction; where it is equal, by class.
    """
    rng = np.random.default_rng(int(identity, 16))
    fraction = np.empty(len(labels))
    for members in _by_class(labels):
        fraction[rng.permutation(members)] = np.arange(len(members)) / len(members)
    places = np.empty(len(labels), dtype=np.int64)
    places[np.lexsort((labels, fraction))] = np.arange(len(labels))
    return places


def size(labels: np.ndarray, share: float) -> int:
    """Return how many images are held out: of every class the share, rounded up.

    Raises:
        DataError: where a class would lose its last image.
    """
    counts = np.array([len(members) for members in _by_class(labels)])
    held = np.array([int((np.arange(n) / n < share).sum()) for n in counts])
    if (held == counts).any():
        raise DataError(
            f"data.holdout {share:g} takes the last training image of a class with "
            f"{int(counts.min())}; lower it, 0 for none"
        )
    return int(held.sum())


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
