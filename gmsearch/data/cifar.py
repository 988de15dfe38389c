"""CIFAR-10 and CIFAR-100 through torchvision, which checks the published MD5 of every file.

The files are pickles, so only torchvision's class reads them, and only after that check. They are
expected in the data root, in the folder that torchvision creates; if they are missing, they are
downloaded into the decode cache. The root is never written to.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import numpy as np
from PIL import Image

from gmsearch.data.cache import cache_dir
from gmsearch.data.decode import DECODE_VERSION, fit
from gmsearch.data.source import Source, Split, file_digest
from gmsearch.errors import DataError
from gmsearch.experiment import Cifar10, Cifar100
from gmsearch.plain import digest

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_CHUNK = 512


def identity(spec: Cifar10 | Cifar100) -> str:
    """Return a digest of the files' bytes, the resolution and the decoder's version.

    Raises:
        DataError: where the files are missing and cannot be downloaded.
    """
    folder = _root(spec) / _FOLDERS[spec.name]
    files = [file_digest(path) for path in sorted(folder.iterdir()) if path.is_file()]
    return digest({spec.name: files, "resolution": spec.resolution, "version": DECODE_VERSION})


def source(spec: Cifar10 | Cifar100) -> Source:
    """Read the files; raises DataError if they are not the published ones."""
    train, evaluation = (_open(spec, _root(spec), train=train) for train in (True, False))
    return Source(
        classes=tuple(train.classes),
        train=_split(train, spec),
        evaluation=_split(evaluation, spec),
    )


def _root(spec: Cifar10 | Cifar100) -> Path:
    """Return the folder that contains torchvision's folder; download it if it is missing."""
    if (Path(spec.root) / _FOLDERS[spec.name]).is_dir():
        return Path(spec.root)
    downloads = cache_dir() / "downloads"
    if not (downloads / _FOLDERS[spec.name]).is_dir():
        _download(spec, downloads)
    return downloads


def _download(spec: Cifar10 | Cifar100, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f"{spec.name}.lock"):
            _dataset(spec.name)(folder, download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{spec.root} has no {_FOLDERS[spec.name]}, and it cannot be downloaded into "
            f"{folder} ({error}); unpack {_dataset(spec.name).filename} in the root by hand"
        ) from error


def _open(spec: Cifar10 | Cifar100, root: Path, *, train: bool) -> CIFAR10:
    try:
        return _dataset(spec.name)(root, train=train)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{root / _FOLDERS[spec.name]} does not contain the published files ({error}); "
            "remove it to download it again"
        ) from error


def _dataset(name: str) -> type[CIFAR10]:
    from torchvision import datasets  # loads torch, which the other formats do without

    known: dict[str, type[CIFAR10]] = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}
    return known[name]


def _split(dataset: CIFAR10, spec: Cifar10 | Cifar100) -> Split:
    chunks = functools.partial(_chunks, dataset.data, spec)
    return Split(labels=np.array(dataset.targets, dtype=np.int64), chunks=chunks)


def _chunks(images: np.ndarray, spec: Cifar10 | Cifar100) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        if spec.resolution is None:
            yield chunk
        else:
            fitted = (fit(spec.name, Image.fromarray(one), spec.resolution) for one in chunk)
            yield np.stack([np.asarray(one) for one in fitted])
