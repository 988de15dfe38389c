"""Data sets that `timm.data.create_dataset` opens and that can be read in any order, as streams.

Folders and Hugging Face data sets are read by timm's readers, torchvision's by its own classes.
timm replaces an image that it cannot read with another one; here its readers are called directly,
so that such an image is an error with its name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from timm.data.dataset import ImageDataset
from timm.data.dataset_factory import create_dataset

from gmsearch.data.decode import rgb
from gmsearch.data.files import below, dangling, hidden, may_be_image, reason, require_targets
from gmsearch.data.source import Listed, Listing, composed, numbered, root_folder
from gmsearch.errors import DataError
from gmsearch.experiment import TimmImages


def listed(spec: TimmImages) -> Listed:
    """Open both splits; raises DataError if timm cannot, or if their classes differ."""
    root = root_folder(spec.root)
    train, evaluation = (_open(spec, split) for split in spec.splits)
    names = [_class_names(dataset) for dataset in (train, evaluation)]
    own = [tuple(map(composed, split or ())) for split in names]
    if sorted(own[0]) != sorted(own[1]):
        other = sorted(set(own[0]) ^ set(own[1]))
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
    if own[0] != own[1]:
        listings[1] = _renumbered(listings[1], [own[0].index(name) for name in own[1]])
    return Listed(
        classes=names[0] or numbered(listings[0].labels, spec.place),
        train=listings[0],
        evaluation=listings[1],
        files=hashlib.sha256("\n".join([*files[0], "", *files[1]]).encode()).hexdigest(),
    )


def _open(spec: TimmImages, split: str) -> Any:
    """Open a split without its hidden files."""
    dataset = _created(spec, split)
    holder = _holder(dataset)
    if (folder := _folder_of(holder)) is not None:
        _hide(holder, folder)
        _require_images(folder, holder.samples)
    return dataset


def _created(spec: TimmImages, split: str) -> Any:
    try:
        return create_dataset(spec.dataset, root=spec.root, split=split)
    except Exception as error:  # readers of a dozen packages raise anything
        require_targets(dangling(e for e in below(spec.root) if may_be_image(e.name)))
        message = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"timm cannot open the split {split} of {spec.dataset} in {spec.root} ({message}); "
            "give data.dataset and data.root as timm.data.create_dataset takes them"
        ) from error


def left_out(spec: TimmImages) -> Counter[str]:
    """Return how many files in the splits' folders timm leaves out, by reason."""
    counts: Counter[str] = Counter()
    for split in spec.splits:
        holder = _holder(_open(spec, split))
        if (folder := _folder_of(holder)) is not None:
            taken = {str(path) for path, _ in holder.samples}
            files = (entry for entry in below(folder) if entry.is_file())
            counts.update(reason(file.name) for file in files if file.path not in taken)
    return counts


def _holder(dataset: Any) -> Any:
    """Return what knows the files and the classes: timm's reader, or torchvision's data set."""
    return dataset.reader if isinstance(dataset, ImageDataset) else dataset


def _folder_of(holder: Any) -> Path | None:
    """Return the folder whose files are the samples of a data set; None for other data sets."""
    root = getattr(holder, "split_folder", getattr(holder, "root", None))
    return Path(root) if isinstance(root, str) and hasattr(holder, "samples") else None


def _class_names(dataset: Any) -> tuple[str, ...] | None:
    """Return the class names in the order of the labels; None if there are none."""
    holder = _holder(dataset)
    known: dict[str, int] | None = getattr(holder, "class_to_idx", None)
    if not known:
        return None
    return tuple(str(name) for name in sorted(known, key=known.__getitem__))


def _hide(holder: Any, folder: Path) -> None:
    """Drop the images in hidden folders, and the classes that have no others.

    Both timm's readers and torchvision's data sets look their images up in these attributes.
    """
    above = len(folder.parts)
    samples = [s for s in holder.samples if not any(map(hidden, Path(s[0]).parts[above:]))]
    gone = {label for _, label in holder.samples} - {label for _, label in samples}
    left = sorted(set(holder.class_to_idx.values()) - gone)
    numbers = {label: number for number, label in enumerate(left)}
    holder.samples = [(path, numbers[label]) for path, label in samples]
    holder.class_to_idx = {
        name: numbers[label] for name, label in holder.class_to_idx.items() if label in numbers
    }
    if hasattr(holder, "targets"):
        holder.targets = [label for _, label in holder.samples]


def _require_images(folder: Path, samples: Sequence[tuple[str, int]]) -> None:
    """Raise DataError for a link to nowhere, or a class folder without images.

    timm would skip both.
    """
    folders, links = set(), []
    for entry in below(folder):
        if entry.is_dir():
            folders.add(entry.path)
        elif entry.is_symlink() and may_be_image(entry.name):
            links += dangling([entry])
    require_targets(links)
    used = {os.path.dirname(path) for path, _ in samples}  # noqa: PTH120 - for a million files
    above = {os.path.dirname(path) for path in folders}  # noqa: PTH120 - as above
    for leaf in sorted(folders - above - used):
        raise DataError(f"class folder {leaf} contains no images; add some or remove it")


def _listing(spec: TimmImages, dataset: Any) -> Listing:
    labels = _labels(dataset)
    if labels is None:
        raise DataError(
            f"{spec.dataset}: its labels cannot be read without its images; use a folder or "
            "Parquet files instead"
        )
    image = _Read(dataset) if isinstance(dataset, ImageDataset) else _Opened(dataset)
    return Listing(labels=np.array(labels, dtype=np.int64), image=image)


def _renumbered(listing: Listing, numbers: Sequence[int]) -> Listing:
    return dataclasses.replace(listing, labels=np.array(numbers, dtype=np.int64)[listing.labels])


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
