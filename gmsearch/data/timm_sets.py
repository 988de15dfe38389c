"""Data sets that `timm.data.create_dataset` opens and that can be read in any order, as streams.

Folders and Hugging Face data sets are read by timm's readers, torchvision's by its own classes.
timm replaces an image that it cannot read with another one; here its readers are called directly,
so that such an image is an error with its name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from timm.data.dataset import ImageDataset
from timm.data.dataset_factory import create_dataset

from gmsearch.data.decode import rgb
from gmsearch.data.source import Listed, Listing, root_folder
from gmsearch.errors import DataError
from gmsearch.experiment import TimmImages


def listed(spec: TimmImages) -> Listed:
    """Open both splits; raises DataError if timm cannot, or if their classes differ."""
    root = root_folder(spec.root)
    train, evaluation = (_open(spec, split) for split in spec.splits)
    names = [_class_names(dataset) for dataset in (train, evaluation)]
    if names[0] != names[1]:
        other = sorted(set(names[0] or ()) ^ set(names[1] or ()))
        raise DataError(
            f"{spec.root}: the classes of the two splits differ ({', '.join(other)}); "
            "give both the same"
        )
    files = [_files(root, dataset) for dataset in (train, evaluation)]
    if isinstance(train, ImageDataset) and files[0] == files[1]:
        raise DataError(
            f"{spec.root}: {' and '.join(spec.splits)} are the same images; "
            "keep each in a folder of its name, or name other splits"
        )
    listings = [_listing(spec, dataset) for dataset in (train, evaluation)]
    most = int(listings[0].labels.max(initial=-1))
    return Listed(
        classes=names[0] or tuple(str(label) for label in range(most + 1)),
        train=listings[0],
        evaluation=listings[1],
        files=hashlib.sha256("\n".join([*files[0], "", *files[1]]).encode()).hexdigest(),
    )


def _open(spec: TimmImages, split: str) -> Any:
    try:
        return create_dataset(spec.dataset, root=spec.root, split=split)
    except Exception as error:  # readers of a dozen packages raise anything
        message = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"timm cannot open the split {split} of {spec.dataset} in {spec.root} ({message}); "
            "give data.dataset and data.root as timm.data.create_dataset takes them"
        ) from error


def _class_names(dataset: Any) -> tuple[str, ...] | None:
    """Return the class names in the order of the labels; None if there are none."""
    holder = dataset.reader if isinstance(dataset, ImageDataset) else dataset
    known: dict[str, int] | None = getattr(holder, "class_to_idx", None)
    if not known:
        return None
    if isinstance(root := getattr(holder, "root", None), str) and hasattr(holder, "samples"):
        _require_images(Path(root), known)
    return tuple(str(name) for name in sorted(known, key=known.__getitem__))


def _require_images(root: Path, classes: Collection[str]) -> None:
    """Raise DataError for a class folder without images, which timm would skip."""
    for folder, inner, _ in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        if not inner and Path(folder) != root and Path(folder).name not in classes:
            raise DataError(f"class folder {folder} contains no images; add some or remove it")


def _listing(spec: TimmImages, dataset: Any) -> Listing:
    labels = _labels(dataset)
    if labels is None:
        raise DataError(
            f"{spec.dataset}: its labels cannot be read without its images; use a folder or "
            "Parquet files instead"
        )
    image = _Read(dataset) if isinstance(dataset, ImageDataset) else _Opened(dataset)
    return Listing(labels=np.array(labels, dtype=np.int64), image=image)


def _labels(dataset: Any) -> Sequence[int] | None:
    """Return the labels without decoding images; None if that is impossible."""
    if not isinstance(dataset, ImageDataset):
        for attribute in ("targets", "_labels"):
            if (labels := getattr(dataset, attribute, None)) is not None:
                return [int(label) for label in labels]
        return None
    reader = dataset.reader
    if hasattr(reader, "samples"):  # folders
        return [int(label) for _, label in reader.samples]
    if hasattr(reader, "iter_targets"):  # Hugging Face
        return [int(label) for label in reader.iter_targets()]
    return None


def _files(root: Path, dataset: Any) -> list[str]:
    """Return names and sizes of a folder's images, or else of all files below the root."""
    samples = getattr(getattr(dataset, "reader", None), "samples", None)
    if isinstance(samples, list):
        return [_size_line(root, Path(path)) for path, _ in samples]
    return sorted(_size_line(root, path) for path in _files_below(root))


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and not name.endswith(".lock"):
                yield Path(folder) / name


def _size_line(root: Path, path: Path) -> str:
    return f"{os.path.relpath(path, root)} {path.stat().st_size}"


class _Read:
    """Images of a data set with a timm reader, which returns their bytes."""

    def __init__(self, dataset: ImageDataset) -> None:
        self._reader = dataset.reader

    def __call__(self, index: int) -> Image.Image:
        name = str(self._reader.filename(index, absolute=True))
        try:
            with self._reader[index][0] as file:
                data = file.read()
        except OSError as error:
            raise DataError(f"{name} cannot be read ({error}); check its permissions") from error
        return rgb(name, data)


class _Opened:
    """Images of a torchvision data set, which are decoded already."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __call__(self, index: int) -> Image.Image:
        try:
            image: Image.Image = self._dataset[index][0]
            return image.convert("RGB")
        except Exception as error:  # Pillow's decoders raise nearly anything
            name = f"{type(self._dataset).__name__} image {index}"
            known = getattr(self._dataset, "samples", None)
            if known is not None:
                name = str(known[index][0])
            raise DataError(f"{name} cannot be decoded ({error}); replace or remove it") from error
