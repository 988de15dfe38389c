"""What every format of data hands on, and the checks that all of them share."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gmsearch.errors import DataError

EVALUATION_NAMES = ("val", "validation", "test")
"""Names of the evaluation split, the first that is there counts."""

TOGETHER_BYTES = 2**28
"""How much of the blocks of a `Listing` are shuffled together, and kept by every process."""

REMEDY = "set data.root, --data-root or GMSEARCH_DATA"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Labels (N,) from 0, and the images they belong to, made when they are asked for."""

    labels: np.ndarray
    chunks: Callable[[], Iterator[np.ndarray]]
    """uint8 arrays (n, S, S, 3) in the order of the labels; may raise DataError."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set that is known, but not yet decoded."""

    classes: tuple[str, ...]
    train: Split
    evaluation: Split


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Listing:
    """One split whose images are decoded one at a time, when they are asked for."""

    labels: np.ndarray
    """int64 (N,) from 0, in the order of the files."""
    image: Callable[[int], Image.Image]
    """The i-th image as RGB, of any size; raises DataError naming it. Crosses processes."""
    block: np.ndarray | None = None
    """int64 (N,): which images are read from disk together, where single ones cannot be."""
    block_bytes: np.ndarray | None = None
    """int64: how much memory each block takes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A data set whose files are known, but not read."""

    classes: tuple[str, ...]
    train: Listing
    evaluation: Listing
    files: str
    """Digest of the names and sizes of the files."""


def root_folder(root: str) -> Path:
    """Return the folder of a data set; raises DataError where there is none or nothing in it."""
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


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its rights") from error


def check_labels(source: Source | Listed, where: str) -> None:
    """Raise DataError unless there are images of at least two classes, all of them trained on."""
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
