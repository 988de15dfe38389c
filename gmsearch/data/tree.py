"""Listing of the images in class folders or in tars of them.

Classes are the folders directly in a split's folder. In a tar they are the folders of the
shallowest images that lie in at least two folders, so that folders above the classes do not
matter. Images deeper than that belong to no class and are left out either way.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from gmsearch.data.files import (
    SUFFIXES,
    below,
    dangling,
    hidden,
    is_image,
    may_be_image,
    reason,
    require_targets,
)
from gmsearch.errors import DataError

_DEEPER = "deeper than the class folders"
_Parts = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class StoredImage:
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
        """Return the bytes; raises DataError where they cannot be read."""
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


def images_in(place: Path) -> list[StoredImage]:
    """Return the images of a split's folder or tar, by class and name.

    Raises:
        DataError: it cannot be read, has no class folders, links to nowhere, or a class without
            images.
    """
    images = _in_folder(place) if place.is_dir() else _in_tar(place)
    return sorted(images, key=lambda image: (image.class_name, image.name))


def left_out_of(place: Path) -> Counter[str]:
    """Return how many files of a split's folder or tar are not among its images, by reason."""
    return _left_out_of_folder(place) if place.is_dir() else _left_out_of_tar(place)


def _in_folder(folder: Path) -> list[StoredImage]:
    images = []
    try:
        with os.scandir(folder) as entries:
            visible = [e for e in entries if not hidden(e.name)]
        links = dangling(visible)
        for one in (e for e in visible if e.is_dir()):
            with os.scandir(one) as entries:
                inner = [e for e in entries if may_be_image(e.name)]
            links += dangling(inner)
            files = [e for e in inner if is_image(e.name) and e.is_file()]
            if not files and not links:
                raise _without_images(one.path)
            images += [StoredImage(one.name, f.name, f.path, f.stat().st_size) for f in files]
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror}); check its permissions"
        ) from error
    require_targets(links)
    if not images:
        raise DataError(f"{folder} contains no class folders; sort the images into one per class")
    return images


def _left_out_of_folder(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    above = str(folder).count(os.sep)
    for entry in below(folder):
        if not entry.is_file():
            continue
        depth = entry.path.count(os.sep) - above
        if depth > 2:
            counts[_DEEPER] += 1
        elif depth == 1 and is_image(entry.name):
            counts["outside the class folders"] += 1
        elif depth == 2 and not is_image(entry.name):
            counts[reason(entry.name)] += 1
    return counts


def _in_tar(path: Path) -> list[StoredImage]:
    files = _tar_files(path)
    places = [parts for parts, _ in files if is_image(parts[-1])]
    if not places:
        raise DataError(f"{path} contains no images as <class>/<file>; repack it")
    depth = _class_depth(places)
    images = [
        StoredImage(parts[-2], parts[-1], str(path), member.size, member.offset_data)
        for parts, member in files
        if len(parts) == depth + 1 and is_image(parts[-1])
    ]
    classes = {parts[:depth] for parts in places if len(parts) == depth + 1}
    for deeper in sorted({parts[:depth] for parts in places if len(parts) > depth + 1} - classes):
        raise _without_images(f"{path}:{'/'.join(deeper)}")
    return images


def _left_out_of_tar(path: Path) -> Counter[str]:
    files = [parts for parts, _ in _tar_files(path)]
    depth = _class_depth([parts for parts in files if is_image(parts[-1])])
    counts: Counter[str] = Counter()
    for parts in files:
        if len(parts) > depth + 1:
            counts[_DEEPER] += 1
        elif len(parts) <= depth and is_image(parts[-1]):
            counts["outside the class folders"] += 1
        elif len(parts) == depth + 1 and not is_image(parts[-1]):
            counts[reason(parts[-1])] += 1
    return counts


def _tar_files(path: Path) -> list[tuple[_Parts, tarfile.TarInfo]]:
    """Return the files in folders of a tar, without those that are hidden in the set."""
    try:
        with tarfile.open(path, "r:") as tar:
            members = [(PurePosixPath(m.name).parts, m) for m in tar if m.isreg()]
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"{path} is not a readable, uncompressed tar ({error}); repack it"
        ) from error
    members = [(parts, member) for parts, member in members if len(parts) > 1]
    above = _common(parts[:-1] for parts, _ in members)
    return [(p, member) for p, member in members if not any(map(hidden, p[len(above) :]))]


def _common(places: Iterable[_Parts]) -> _Parts:
    """Return the folders that all places have in common: the set itself may be in a hidden one."""
    levels = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*places, strict=False))
    return tuple(level[0] for level in levels)


def _class_depth(images: Iterable[_Parts]) -> int:
    """Return how many folders lead to a class: the fewest that lead to two of them."""
    folders: dict[int, set[_Parts]] = collections.defaultdict(set)
    for parts in images:
        folders[len(parts) - 1].add(parts[:-1])
    several = [depth for depth, names in folders.items() if len(names) > 1]
    return min(several or folders, default=1)


def _without_images(folder: str) -> DataError:
    return DataError(
        f"class folder {folder} contains no images ({' '.join(SUFFIXES)}); add some or remove it"
    )
