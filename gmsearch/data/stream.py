"""Image sets too large to be decoded once: files are listed now, images decoded when asked for.

The identity of such a set is that of its files' names and sizes, not of their bytes. Holdout,
classes and chance come from the labels, which are known without decoding.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gmsearch.data import holdout
from gmsearch.data.decode import DECODE_VERSION
from gmsearch.data.source import TOGETHER_BYTES, Listed, Listing, check_labels
from gmsearch.experiment import Streamed
from gmsearch.plain import digest


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageStream:
    """Labelled images of one split that are decoded anew whenever they are asked for."""

    spec: Streamed
    listing: Listing
    rows: np.ndarray
    """int64 (N,): which images of the listing these are, in the order of the files."""

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,), from 0."""
        labels: np.ndarray = self.listing.labels[self.rows]
        return labels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def shuffled(self, rng: np.random.Generator, together: int = TOGETHER_BYTES) -> np.ndarray:
        """Return the rows in a random order.

        Any order is as likely as another where images are files of their own. Of Parquet only row
        groups can be read: the groups come in a random order, and the rows are shuffled among as
        many consecutive groups as take up to `together` bytes.
        """
        rows = rng.permutation(self.rows)
        block, sizes = self.listing.block, self.listing.block_bytes
        if block is None or sizes is None:
            return rows
        order = rng.permutation(len(sizes))
        part = np.empty(len(sizes), dtype=np.int64)
        part[order] = _parts(sizes[order], together)
        return rows[np.argsort(part[block[rows]], kind="stable")]


def _parts(sizes: np.ndarray, limit: int) -> list[int]:
    """Number consecutive sizes; those of one number are within the limit together, or alone."""
    numbers, number, total = [], 0, 0
    for size in sizes.tolist():
        total += size
        if total > limit and total > size:
            number, total = number + 1, size
        numbers.append(number)
    return numbers


def splits(spec: Streamed) -> tuple[str, Listed, dict[str, ImageStream]]:
    """Return the identity, what is listed, and train, holdout and evaluation by name.

    Raises:
        DataError: For files that are missing, empty or of another form, or labels out of range.
    """
    listed = _listed(spec)
    check_labels(listed, spec.root)
    identity = _identity(spec, listed)
    places = holdout.positions(listed.train.labels, identity)
    held = places < holdout.size(listed.train.labels, spec.holdout)
    everything = np.arange(len(listed.evaluation.labels))
    return (
        identity,
        listed,
        {
            "train": ImageStream(spec=spec, listing=listed.train, rows=np.flatnonzero(~held)),
            "holdout": ImageStream(spec=spec, listing=listed.train, rows=np.flatnonzero(held)),
            "evaluation": ImageStream(spec=spec, listing=listed.evaluation, rows=everything),
        },
    )


def _identity(spec: Streamed, listed: Listed) -> str:
    return digest(
        {
            "streamed": spec.name,
            "dataset": spec.dataset,
            "splits": spec.splits,
            "files": listed.files,
            "resolution": spec.resolution,
            "crop_pct": spec.crop_pct,
            "mean": spec.mean,
            "std": spec.std,
            "version": DECODE_VERSION,
        }
    )


def _listed(spec: Streamed) -> Listed:
    if spec.name == "parquet":
        from gmsearch.data import parquet

        return parquet.listed(spec)
    if spec.name == "folder":
        from gmsearch.data import folder

        return folder.listed(spec)
    from gmsearch.data import timm_sets

    return timm_sets.listed(spec)
