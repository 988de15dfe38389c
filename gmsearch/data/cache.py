"""Decoded data sets on disk: written once per machine, memory-mapped by every process.

`cache_dir()/<identity>/` holds images and labels of both splits as .npy files and `meta.json`
with their digests. It is built in a temporary folder under a lock and then renamed, so it is
either complete or absent; if it is damaged nevertheless, it is built again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import platformdirs

from gmsearch.data import apart, holdout
from gmsearch.data.source import Source, Split, check_labels, file_digest
from gmsearch.errors import DataError

_log = logging.getLogger(__name__)

_CHUNK = 512
_FILES = ("train_images", "train_labels", "evaluation_images", "evaluation_labels")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """Decoded data set in the cache; images are uint8 (N, S, S, 3), mapped from files.

    The maps are copy-on-write: torch takes them without a warning or a copy, and what a process
    writes into a map reaches neither the file nor other processes.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    evaluation_images: np.ndarray
    evaluation_labels: np.ndarray
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def cache_dir() -> Path:
    """Return the folder of the decode cache: GMSEARCH_CACHE, else the user's cache folder."""
    named = os.environ.get("GMSEARCH_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("gmsearch")


def disk_bytes() -> int:
    """Return the size of the disk that the decode cache is on, or will be."""
    folder = cache_dir().absolute()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).total


def ensure(identity: str, source: Callable[[], Source], where: str) -> None:
    """Decode a data set into the cache unless the cache has an intact copy.

    Raises:
        DataError: for data that cannot be decoded, or a cache that cannot be written.
    """
    folder = cache_dir()
    if not _whole(folder / identity):  # before the lock: the cache may be read-only
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder / f"{identity}.lock"):
                if not _whole(folder / identity):
                    if (folder / identity).exists():
                        _log.warning("%s is damaged; it is decoded again", folder / identity)
                    _build(folder, identity, source(), where)
        except OSError as error:
            raise DataError(
                f"the decode cache {folder} cannot be written ({error.strerror or error}); "
                "set GMSEARCH_CACHE to a writable folder with free space"
            ) from error
    repeats = _meta(folder / identity).get("repeated")
    decoded = open_decoded(identity)
    if not isinstance(repeats, int):  # decoded by a version that did not count them
        repeats = apart.repeated(decoded.train_images, decoded.evaluation_images)
    apart.require_apart(repeats, len(decoded.evaluation_images), where)


def open_decoded(identity: str) -> Decoded:
    """Map a data set that `ensure` has decoded."""
    folder = cache_dir() / identity
    return _mapped(folder, _meta(folder))


def _meta(folder: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    return meta


def _whole(folder: Path) -> bool:
    """Return whether a data set is in the cache with the bytes that were written."""
    try:
        meta = _meta(folder)
        written = meta["files"]
        if any(file_digest(folder / f"{name}.npy") != written[name] for name in _FILES):
            return False
        # Digests that match say nothing of arrays that were of another kind when written.
        return _well_formed(_mapped(folder, meta))
    except (OSError, DataError, ValueError, KeyError, TypeError, EOFError):
        return False


def _mapped(folder: Path, meta: Mapping[str, Any]) -> Decoded:
    return Decoded(
        **{name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in _FILES},
        classes=tuple(meta["classes"]),
        mean=tuple(meta["mean"]),
        std=tuple(meta["std"]),
    )


def _well_formed(decoded: Decoded) -> bool:
    pairs = (
        (decoded.train_images, decoded.train_labels),
        (decoded.evaluation_images, decoded.evaluation_labels),
    )
    numbers = (*decoded.mean, *decoded.std)
    return (
        all(images.dtype == np.uint8 and images.ndim == 4 for images, _ in pairs)
        and all(labels.dtype == np.int64 and labels.ndim == 1 for _, labels in pairs)
        and all(len(images) == len(labels) for images, labels in pairs)
        and all(isinstance(name, str) for name in decoded.classes)
        and len(decoded.mean) == len(decoded.std) == 3
        and all(isinstance(number, float) for number in numbers)
    )


def _build(folder: Path, identity: str, source: Source, where: str) -> None:
    check_labels(source, where)
    building = folder / f".{identity}.building"
    for remains in (building, folder / identity):
        shutil.rmtree(remains, ignore_errors=True)
    building.mkdir()
    try:
        places = holdout.positions(source.train.labels, identity)
        train = _write(building / "train", source.train, places)
        places = np.arange(len(source.evaluation.labels))
        evaluation = _write(building / "evaluation", source.evaluation, places)
        if train.shape[1] != evaluation.shape[1]:
            raise DataError(
                f"{where}: training images have {train.shape[1]} pixels a side, evaluation images "
                f"{evaluation.shape[1]}; set data.resolution to resize them"
            )
        mean, std = _pixel_moments(train)
        if min(std) == 0:
            raise DataError(f"{where}: a channel is constant over all training images; add others")
        meta = {
            "classes": source.classes,
            "mean": mean,
            "std": std,
            "repeated": apart.repeated(train, evaluation),
            "files": {name: file_digest(building / f"{name}.npy") for name in _FILES},
        }
        (building / "meta.json").write_text(json.dumps(meta))
        building.replace(folder / identity)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(stem: Path, split: Split, places: np.ndarray) -> np.ndarray:
    """Write images and labels of one split in their order; return the mapped images."""
    images: np.memmap | None = None
    start = 0
    for chunk in split.chunks():
        if images is None:
            images = np.lib.format.open_memmap(
                f"{stem}_images.npy", "w+", np.uint8, (len(places), *chunk.shape[1:])
            )
            _reserve(Path(f"{stem}_images.npy"))
        images[places[start : start + len(chunk)]] = chunk
        start += len(chunk)
    if images is None or start != len(places):
        raise DataError(
            f"{start} images for {len(places)} labels: the files changed while they were read"
        )
    images.flush()
    labels = np.empty(len(places), dtype=np.int64)
    labels[places] = split.labels
    np.save(f"{stem}_labels.npy", labels)
    return images


def _reserve(path: Path) -> None:
    """Reserve the disk space of a mapped file: a full disk raises here and crashes later."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _pixel_moments(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of the pixels per channel, in 0..1, from exact sums."""
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):
        for channel, pixels in enumerate(np.moveaxis(images[start : start + _CHUNK], 3, 0)):
            counts[channel] += np.bincount(pixels.ravel(), minlength=256)
    values = np.arange(256)
    n = int(counts[0].sum())
    first = [int(total) for total in counts @ values]
    second = [int(total) for total in counts @ values**2]
    mean = [a / (n * 255) for a in first]
    std = [(n * b - a * a) ** 0.5 / (n * 255) for a, b in zip(first, second, strict=True)]
    return mean, std
