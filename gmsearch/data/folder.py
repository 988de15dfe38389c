"""Image sets in folders, `train/<class>/*` and `val/<class>/*`, or in `train.tar` and `val.tar`.

The evaluation split may also be named `validation` or `test`. Classes are the folders' names in
sorted order, images are the files with the suffix of an image, in the order of their names; other
files, hidden files and deeper folders are ignored. In a tar the class is the folder directly above
the file; the same files give the same data set either way.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from gmsearch.data.decode import DECODE_VERSION, decoded, rgb, thread_pool
from gmsearch.data.source import EVALUATION_NAMES, Listed, Listing, Source, Split, root_folder
from gmsearch.errors import DataError
from gmsearch.experiment import FolderImages
from gmsearch.plain import digest

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclasses.dataclass(frozen=True, slots=True)
class _Image:
    """Location of the bytes of one image."""

    class_name: str
    name: str
    path: str
    size: int
    """Number of bytes."""
    offset: int | None = None
    """Position in the tar; None for a plain file."""

    @property
    def shown(self) -> str:
        """Name for messages."""
        return self.path if self.offset is None else f"{self.path}:{self.class_name}/{self.name}"

    def read(self) -> bytes:
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123 - a Path for each of a million files
                if self.offset is None:
                    return file.read()
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise DataError(
                f"{self.shown} cannot be read ({error.strerror}); check its permissions"
            ) from error


class _Files:
    """Images of one split by index; kept as arrays, which are cheap to pass between processes."""

    def __init__(
        self, images: Sequence[_Image], labels: np.ndarray, classes: Sequence[str]
    ) -> None:
        self._classes = classes
        self._labels = labels
        self._names = np.array([os.fsencode(image.name) for image in images])
        self._sizes = np.array([image.size for image in images])
        tar = images[0].offset is not None
        self._tar = images[0].path if tar else None
        self._offsets = np.array([image.offset for image in images]) if tar else None
        self._folder = str(Path(images[0].path).parents[1])

    def __call__(self, index: int) -> Image.Image:
        class_name = self._classes[self._labels[index]]
        name = os.fsdecode(bytes(self._names[index]))
        path = self._tar or os.path.join(self._folder, class_name, name)  # noqa: PTH118 - as above
        offset = None if self._offsets is None else int(self._offsets[index])
        image = _Image(class_name, name, path, int(self._sizes[index]), offset)
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


def _listing(images: Sequence[_Image], classes: tuple[str, ...]) -> Listing:
    labels = _labels(images, classes)
    return Listing(labels=labels, image=_Files(images, labels, classes))


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


def _classes(root: str, train: Sequence[_Image], evaluation: Sequence[_Image]) -> tuple[str, ...]:
    """Return the names of the classes; raises DataError unless both splits have the same."""
    classes = tuple(sorted({image.class_name for image in train}))
    others = {image.class_name for image in evaluation}
    if others != set(classes):
        only = [
            f"only in {where}: {', '.join(sorted(names))}"
            for where, names in (
                ("train", set(classes) - others),
                ("evaluation", others - set(classes)),
            )
            if names
        ]
        raise DataError(
            f"{root}: the class folders of the two splits differ ({'; '.join(only)}); "
            "give both the same"
        )
    return classes


def _labels(images: Sequence[_Image], classes: Sequence[str]) -> np.ndarray:
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[image.class_name] for image in images], dtype=np.int64)


def _split(images: Sequence[_Image], classes: Sequence[str], resolution: int | None) -> Split:
    return Split(
        labels=_labels(images, classes),
        chunks=functools.partial(_chunks, images, resolution),
    )


def _chunks(images: Sequence[_Image], resolution: int | None) -> Iterator[np.ndarray]:
    yield from decoded(((image.shown, image.read()) for image in images), resolution)


def _digest(image: _Image) -> str:
    return hashlib.sha256(image.read()).hexdigest()


def _images(spec: FolderImages) -> tuple[list[_Image], list[_Image]]:
    root = root_folder(spec.root)
    train = _members(root, "train")
    if train is None:
        raise DataError(f"{root} contains neither a folder train nor train.tar; add one")
    for name in EVALUATION_NAMES:
        if (evaluation := _members(root, name)) is not None:
            return train, evaluation
    raise DataError(f"{root} contains no folder or tar val, validation or test; add one")


def _members(root: Path, split: str) -> list[_Image] | None:
    if (root / split).is_dir():
        images = _in_folder(root / split)
    elif (root / f"{split}.tar").exists():
        images = _in_tar(root / f"{split}.tar")
    else:
        return None
    return sorted(images, key=lambda image: (image.class_name, image.name))


def _in_folder(folder: Path) -> list[_Image]:
    images = []
    try:
        classes = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
        for one in classes:
            with os.scandir(one) as entries:
                files = [e for e in entries if _is_image(e.name) and e.is_file()]
            if not files:
                raise DataError(
                    f"class folder {one} contains no images ({' '.join(SUFFIXES)}); "
                    "add some or remove it"
                )
            images += [_Image(one.name, f.name, f.path, f.stat().st_size) for f in files]
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror}); check its permissions"
        ) from error
    if not images:
        raise DataError(f"{folder} contains no class folders; sort the images into one per class")
    return images


def _in_tar(path: Path) -> list[_Image]:
    images = []
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                *above, name = PurePosixPath(member.name).parts or ("",)
                if member.isreg() and above and _is_image(name):
                    images.append(
                        _Image(above[-1], name, str(path), member.size, member.offset_data)
                    )
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"{path} is not a readable, uncompressed tar ({error}); repack it"
        ) from error
    if not images:
        raise DataError(f"{path} contains no images as <class>/<file>; repack it")
    return images


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)
