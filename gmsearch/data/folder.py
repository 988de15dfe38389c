"""Image sets in folders, `train/<class>/*` and `val/<class>/*`, or in `train.tar` and `val.tar`.

The evaluation split may also be named `validation` or `test`. Classes are the folders' names in
sorted order, images are the files with an image's ending, in the order of their names; other
files, hidden ones and what lies deeper are left out. In a tar the class is the folder directly
above the file; the same files give the same data set either way.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from gmsearch.candidate import Stored, digest
from gmsearch.data.decode import DECODE_VERSION, decoded, thread_pool
from gmsearch.data.source import EVALUATION_NAMES, Source, Split, root_folder
from gmsearch.errors import DataError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclasses.dataclass(frozen=True, slots=True)
class _Image:
    """Where the bytes of one image lie."""

    class_name: str
    name: str
    path: Path
    offset: int = 0
    size: int = -1
    """Bytes to read; -1 for all."""

    @property
    def shown(self) -> str:
        """The name for messages."""
        return str(self.path) if self.size < 0 else f"{self.path}:{self.class_name}/{self.name}"

    def read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise DataError(
                f"{self.shown} cannot be read ({error.strerror}); check its rights"
            ) from error


def identity(spec: Stored) -> str:
    """Return the digest of classes, names and bytes of all images, resolution and decoder."""
    with thread_pool() as pool:
        splits = [
            [
                [image.class_name, image.name, digest_]
                for image, digest_ in zip(images, pool.map(_digest, images), strict=True)
            ]
            for images in _images(spec)
        ]
    return digest({"folder": splits, "resolution": spec.resolution, "version": DECODE_VERSION})


def source(spec: Stored) -> Source:
    """List the images; raises DataError where the splits have different classes."""
    train, evaluation = _images(spec)
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
            f"{spec.root}: the class folders of the two splits differ ({'; '.join(only)}); "
            "give both the same"
        )
    return Source(
        classes=classes,
        train=_split(train, classes, spec.resolution),
        evaluation=_split(evaluation, classes, spec.resolution),
    )


def _split(images: Sequence[_Image], classes: Sequence[str], resolution: int | None) -> Split:
    index = {name: i for i, name in enumerate(classes)}
    return Split(
        labels=np.array([index[image.class_name] for image in images], dtype=np.int64),
        chunks=functools.partial(_chunks, images, resolution),
    )


def _chunks(images: Sequence[_Image], resolution: int | None) -> Iterator[np.ndarray]:
    yield from decoded(((image.shown, image.read()) for image in images), resolution)


def _digest(image: _Image) -> str:
    return hashlib.sha256(image.read()).hexdigest()


def _images(spec: Stored) -> tuple[list[_Image], list[_Image]]:
    root = root_folder(spec.root)
    train = _members(root, "train")
    if train is None:
        raise DataError(f"{root} holds neither a folder train nor train.tar; add one")
    for name in EVALUATION_NAMES:
        if (evaluation := _members(root, name)) is not None:
            return train, evaluation
    raise DataError(f"{root} holds no folder or tar val, validation or test; add one")


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
            files = [p for p in one.iterdir() if _is_image(p.name) and p.is_file()]
            if not files:
                raise DataError(
                    f"class folder {one} holds no images ({' '.join(ENDINGS)}); "
                    "add some or remove it"
                )
            images += [_Image(one.name, path.name, path) for path in files]
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror}); check its rights"
        ) from error
    if not images:
        raise DataError(f"{folder} holds no class folders; sort the images into one per class")
    return images


def _in_tar(path: Path) -> list[_Image]:
    images = []
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                *above, name = PurePosixPath(member.name).parts or ("",)
                if member.isreg() and above and _is_image(name):
                    images.append(_Image(above[-1], name, path, member.offset_data, member.size))
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"{path} is not a readable, uncompressed tar ({error}); repack it"
        ) from error
    if not images:
        raise DataError(f"{path} holds no images as <class>/<file>; repack it")
    return images


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(ENDINGS)
