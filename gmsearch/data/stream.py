"""Image sets too large for memory: files are listed first, images decoded on request.

The identity of such a set is a digest of its files' names and sizes, not of their bytes. Holdout,
classes and chance come from the labels, which are known without decoding.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gmsearch.data import holdout
from gmsearch.data.apart import require_listed_apart
from gmsearch.data.decode import DECODE_VERSION
from gmsearch.data.formats import FORMATS, open_streamed
from gmsearch.data.source import TOGETHER_BYTES, Listed, Listing, check_labels
from gmsearch.experiment import Preprocessing, StreamableImages
from gmsearch.plain import digest, plain

_NOT_PIXELS = ("name", "root", "holdout", "stream")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageStream:
    """Labelled images of one split that are decoded whenever they are requested."""

    preprocessing: Preprocessing
    listing: Listing
    rows: np.ndarray
    """int64 (N,): indices of these images in the listing, in the order of the files."""

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

        All orders are equally likely where every image is a file. Parquet can only be read by row
        group: the groups come in a random order, and the rows are shuffled among as many
        consecutive groups as take up to `together` bytes.
        """
        rows = rng.permutation(self.rows)
        block, sizes = self.listing.block, self.listing.block_bytes
        if block is None or sizes is None:
            return rows
        order = rng.permutation(len(sizes))
        part = np.empty(len(sizes), dtype=np.int64)
        part[order] = _consecutive_groups(sizes[order], together)
        return rows[np.argsort(part[block[rows]], kind="stable")]


def _consecutive_groups(sizes: np.ndarray, limit: int) -> list[int]:
    """Return group numbers of consecutive sizes; a group is within the limit or has one item."""
    numbers, number, total = [], 0, 0
    for size in sizes.tolist():
        total += size
        if total > limit and total > size:
            number, total = number + 1, size
        numbers.append(number)
    return numbers


def splits(spec: StreamableImages) -> tuple[str, Listed, dict[str, ImageStream]]:
    """Return the identity, the listed files, and train, holdout and evaluation by name.

    Raises:
        DataError: for files that are missing, empty or of another form, or labels out of range.
        FieldError: where the data set cannot be streamed.
    """
    listed = open_streamed(spec)
    check_labels(listed, spec.place)
    require_listed_apart(listed, spec.place)
    identity = _stream_identity(spec, listed)
    positions = holdout.positions(listed.train.labels, identity)
    held = positions < holdout.size(listed.train.labels, spec.holdout)
    rows = {
        "train": np.flatnonzero(~held),
        "holdout": np.flatnonzero(held),
        "evaluation": np.arange(len(listed.evaluation.labels)),
    }
    images = {
        name: ImageStream(
            preprocessing=spec.preprocessing,
            listing=listed.evaluation if name == "evaluation" else listed.train,
            rows=numbers,
        )
        for name, numbers in rows.items()
    }
    return identity, listed, images


def _stream_identity(spec: StreamableImages, listed: Listed) -> str:
    """Return the digest of all options that change pixels, and of names and sizes of files."""
    options = {key: value for key, value in plain(spec).items() if key not in _NOT_PIXELS}
    source = FORMATS[spec.name].source
    return digest(
        {
            "streamed": spec.name,
            **options,
            "files": listed.files,
            "version": DECODE_VERSION,
            **({} if source is None else {"source": source}),
        }
    )
