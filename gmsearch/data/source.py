"""Types that every data format returns, and the checks they share."""

from __future__ import annotations

import dataclasses
import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gmsearch.errors import DataError

EVALUATION_NAMES = ("val", "validation", "test", "valid")
"""Names that the evaluation split may have; the first that exists is used."""

TOGETHER_BYTES = 2**28
"""Bytes of the blocks of a `Listing` that are shuffled together and kept in memory."""

REMEDY = "set data.root, --data-root or GMSEARCH_DATA"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Labels (N,) from 0 and their images, which are decoded when iterated over."""

    labels: np.ndarray
    chunks: Callable[[], Iterator[np.ndarray]]
    """uint8 arrays (n, S, S, 3) in the order of the labels; may raise DataError."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set whose labels are known but whose images are not yet decoded."""

    classes: tuple[str, ...]
    train: Split
    evaluation: Split


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Listing:
    """One split whose images are decoded one by one on request."""

    labels: np.ndarray
    """int64 (N,) from 0, in the order of the files."""
    image: Callable[[int], Image.Image]
    """Returns the i-th image as RGB, of any size; raises DataError naming it; can be pickled."""
    block: np.ndarray | None = None
    """int64 (N,): block of every image, where only whole blocks can be read from disk."""
    block_bytes: np.ndarray | None = None
    """int64: memory of each block in bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A data set whose files are listed but not read."""

    classes: tuple[str, ...]
    train: Listing
    evaluation: Listing
    files: str
    """Digest of names and sizes of the files."""


def root_folder(root: str) -> Path:
    """Return the folder of a data set; raises DataError if it is missing or empty."""
    path = Path(root)
    try:
        if not path.exists():
            raise DataError(f"data root {root} does not exist; {REMEDY}")
        if not path.is_dir():
            raise DataError(f"data root {root} is not a folder; {REMEDY}")
        if next(path.iterdir(), None) is None:
            raise DataError(f"data root {root} is empty; {REMEDY}")
    except OSError as error:
        raise DataError(f"data root {root} cannot be read ({error.strerror}); {REMEDY}") from error
    return path


def composed(name: str) -> str:
    """Return a name in the composed Unicode form (NFC), in which names that look alike are one."""
    return unicodedata.normalize("NFC", name)


def numbered(labels: np.ndarray, where: str) -> tuple[str, ...]:
    """Return the numbers of classes that have no names, from 0 to the largest training label.

    Raises:
        DataError: some class has no image; before anything as large as a label is made.
    """
    most = int(labels.max(initial=-1))
    if most >= len(labels):
        used = set(labels.tolist())
        missing = next(label for label in range(most) if label not in used)
        raise DataError(
            f"{where}: class '{missing}' has no training image, while a label is {most}; "
            "number the classes from 0 without gaps"
        )
    return tuple(str(label) for label in range(most + 1))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; raises DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from error


def check_labels(source: Source | Listed, where: str) -> None:
    """Raise DataError unless there are at least two classes, each with a training image."""
    n = len(source.classes)
    for name, split in (("training", source.train), ("evaluation", source.evaluation)):
        if len(split.labels) == 0:
            raise DataError(f"{where}: the {name} split has no images; add some")
        if split.labels.min() < 0 or split.labels.max() >= n:
            wrong = int(split.labels.min() if split.labels.min() < 0 else split.labels.max())
            raise DataError(
                f"{where}: label {wrong} of the {name} split is outside 0..{n - 1}; "
                "correct the labels or the class names"
            )
    if n < 2:
        raise DataError(f"{where}: there is only one class; a classifier needs at least two")
    counts = np.bincount(source.train.labels, minlength=n)
    if counts.min() == 0:
        missing = source.classes[int(counts.argmin())]
        raise DataError(f"{where}: class {missing!r} has no training image; add some or drop it")
