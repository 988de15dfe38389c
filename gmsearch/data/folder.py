"""Image sets in folders, `train/<class>/*` and `val/<class>/*`, or in `train.tar` and `val.tar`.

The evaluation split may also be named `validation`, `test` or `valid`. Classes are the folders'
names in sorted order, images are the files with the suffix of an image, in the order of their
names; other files, hidden files and deeper folders are left out, and counted. The same files give
the same data set either way.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gmsearch.data.decode import DECODE_VERSION, decoded, rgb, thread_pool
from gmsearch.data.files import exists
from gmsearch.data.source import (
    EVALUATION_NAMES,
    Listed,
    Listing,
    Source,
    Split,
    composed,
    root_folder,
)
from gmsearch.data.tree import StoredImage, images_in, left_out_of
from gmsearch.errors import DataError
from gmsearch.experiment import FolderImages
from gmsearch.plain import digest


class _Files:
    """Images of one split by index; kept as arrays, which are cheap to pass between processes."""

    def __init__(self, images: Sequence[StoredImage], labels: np.ndarray) -> None:
        names = {label: image.class_name for label, image in zip(labels, images, strict=True)}
        self._folders = {int(label): name for label, name in names.items()}
        self._labels = labels
        self._names = np.array([os.fsencode(image.name) for image in images])
        self._sizes = np.array([image.size for image in images])
        tar = images[0].offset is not None
        self._tar = images[0].path if tar else None
        self._offsets = np.array([image.offset for image in images]) if tar else None
        self._folder = str(Path(images[0].path).parents[1])

    def __call__(self, index: int) -> Image.Image:
        class_name = self._folders[int(self._labels[index])]
        name = os.fsdecode(bytes(self._names[index]))
        path = self._tar or os.path.join(self._folder, class_name, name)  # noqa: PTH118 - as above
        offset = None if self._offsets is None else int(self._offsets[index])
        image = StoredImage(class_name, name, path, int(self._sizes[index]), offset)
        return rgb(image.shown, image.read())


def listed(spec: FolderImages) -> Listed:
    """List the images without reading any; raises DataError as `source`."""
    train, evaluation = _images(spec)
    classes = _classes(spec.root, train, evaluation)
    files = hashlib.sha256()
    for split, images in (("train", train), ("evaluation", evaluation)):
        for image in images:
            line = f"{split}/{image.class_name}/{image.name} {image.size}\n"
            files.update(os.fsencode(line))
    return Listed(
        classes=classes,
        train=_listing(train, classes),
        evaluation=_listing(evaluation, classes),
        files=files.hexdigest(),
    )


def _listing(images: Sequence[StoredImage], classes: tuple[str, ...]) -> Listing:
    labels = _labels(images, classes)
    return Listing(labels=labels, image=_Files(images, labels))


def identity(spec: FolderImages) -> str:
    """Return a digest of classes, names and bytes of all images, resolution and decoder."""
    with thread_pool() as pool:
        splits = [
            [
                [image.class_name, image.name, digest_]
                for image, digest_ in zip(images, pool.map(_digest, images), strict=True)
            ]
            for images in _images(spec)
        ]
    return digest({"folder": splits, "resolution": spec.resolution, "version": DECODE_VERSION})


def source(spec: FolderImages) -> Source:
    """List the images; raises DataError where the splits have different classes."""
    train, evaluation = _images(spec)
    classes = _classes(spec.root, train, evaluation)
    return Source(
        classes=classes,
        train=_split(train, classes, spec.resolution),
        evaluation=_split(evaluation, classes, spec.resolution),
    )


def _classes(
    root: str, train: Sequence[StoredImage], evaluation: Sequence[StoredImage]
) -> tuple[str, ...]:
    """Return the names of the classes; raises DataError unless both splits have the same.

    Names that differ only in Unicode form, as those of one folder do after a Mac packed it, are
    the same; they are returned in composed form.
    """
    names, others = ({image.class_name for image in images} for images in (train, evaluation))
    if others != names:
        names, others = (_composed(root, split) for split in (names, others))
    if others != names:
        only = [
            f"only in {where}: {', '.join(sorted(differing))}"
            for where, differing in (("train", names - others), ("evaluation", others - names))
            if differing
        ]
        raise DataError(
            f"{root}: the class folders of the two splits differ ({'; '.join(only)}); "
            "give both the same"
        )
    return tuple(sorted(names))


def _composed(root: str, names: Iterable[str]) -> set[str]:
    """Return names in composed form; raises DataError for two that look alike."""
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(composed(name), name) != name:
            raise DataError(
                f"{root}: two class folders of one split are named {composed(name)} in two "
                "Unicode forms (NFC and NFD); merge them"
            )
    return set(seen)


def _labels(images: Sequence[StoredImage], classes: Sequence[str]) -> np.ndarray:
    index = {name: i for i, name in enumerate(classes)}
    return np.array(
        [
            index[name] if (name := image.class_name) in index else index[composed(name)]
            for image in images
        ],
        dtype=np.int64,
    )


def _split(images: Sequence[StoredImage], classes: Sequence[str], resolution: int | None) -> Split:
    return Split(
        labels=_labels(images, classes),
        chunks=functools.partial(_chunks, images, resolution),
    )


def _chunks(images: Sequence[StoredImage], resolution: int | None) -> Iterator[np.ndarray]:
    yield from decoded(((image.shown, image.read()) for image in images), resolution)


def _digest(image: StoredImage) -> str:
    return hashlib.sha256(image.read()).hexdigest()


def left_out(spec: FolderImages) -> Counter[str]:
    """Return how many files of the splits' folders are not among the images, by reason."""
    return sum(map(left_out_of, _places(spec)), Counter())


def _images(spec: FolderImages) -> tuple[list[StoredImage], list[StoredImage]]:
    train, evaluation = _places(spec)
    return images_in(train), images_in(evaluation)


def _places(spec: FolderImages) -> tuple[Path, Path]:
    """Return the folders or tars of the two splits; raises DataError where there is none."""
    root = root_folder(spec.root)
    train = _place(root, "train")
    if train is None:
        raise DataError(f"{root} contains neither a folder train nor train.tar; add one")
    for name in EVALUATION_NAMES:
        if (evaluation := _place(root, name)) is not None:
            return train, evaluation
    names = f"{', '.join(EVALUATION_NAMES[:-1])} or {EVALUATION_NAMES[-1]}"
    raise DataError(f"{root} contains no folder or tar {names}; add one")


def _place(root: Path, split: str) -> Path | None:
    if exists(root / split) and (root / split).is_dir():
        return root / split
    tar = root / f"{split}.tar"
    return tar if exists(tar) else None
