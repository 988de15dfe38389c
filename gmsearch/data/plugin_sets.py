"""Data sets of plugins: what a plugin's function returns, as arrays or as paths of image files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gmsearch.data.arrays import Arrays, stored_arrays
from gmsearch.data.decode import DECODE_VERSION, decoded, rgb, thread_pool
from gmsearch.data.formats import Decodable
from gmsearch.data.source import Listed, Listing, Source, Split, file_digest, numbered
from gmsearch.errors import DataError, GmsearchError
from gmsearch.experiment import DataSpec, PluginFile, StreamableImages
from gmsearch.plain import digest
from gmsearch.plugins import Part, part_arguments
from gmsearch.plugins.blame import described
from gmsearch.plugins.parts import located

if TYPE_CHECKING:
    from PIL import Image

_SPLITS = ("train", "evaluation")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Files:
    """One split of a data set that a plugin lists."""

    paths: tuple[str, ...]
    labels: np.ndarray
    """int64 (N,)."""


class _Paths:
    """The images of one split, by index; can be pickled."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths

    def __call__(self, index: int) -> Image.Image:
        path = self._paths[index]
        return rgb(path, _read_file(path))


def stored(part: Part, file: PluginFile, spec: DataSpec) -> Decodable:
    """Return a plugin's data set, to be decoded into memory.

    Raises:
        DataError: the plugin's function raises, or does not return a data set.
    """
    tree = _returned(part, file, spec)
    if not _lists_files(tree):
        named = f"data set {located(part, file)}"
        return stored_arrays(lambda _spec: _arrays(tree), named=named)(spec)
    assert isinstance(spec, StreamableImages), "the spec of every data set of a plugin"
    splits = [_files(located(part, file), name, tree[name]) for name in _SPLITS]
    classes = _classes(tree, splits[0].labels, located(part, file))
    with thread_pool() as pool:
        digests = [list(pool.map(file_digest, map(Path, split.paths))) for split in splits]
    labels = [split.labels.tolist() for split in splits]
    identity = digest(
        {
            spec.name: [digests, labels, classes],
            "resolution": spec.resolution,
            "version": DECODE_VERSION,
        }
    )
    train, evaluation = (
        Split(
            labels=split.labels,
            chunks=functools.partial(_chunks, split.paths, spec.resolution),
        )
        for split in splits
    )
    source = Source(classes=classes, train=train, evaluation=evaluation)
    return Decodable(identity=identity, source=lambda: source)


def listed(part: Part, file: PluginFile, spec: DataSpec) -> Listed:
    """Return the images of a plugin's data set, none of them decoded.

    Raises:
        DataError: as `stored`, and where the plugin returns arrays.
    """
    tree = _returned(part, file, spec)
    if not _lists_files(tree):
        raise DataError(
            f"data set {located(part, file)} returns arrays, which are not streamed; set "
            "`stream: false`"
        )
    train, evaluation = (_files(located(part, file), name, tree[name]) for name in _SPLITS)
    sizes = hashlib.sha256()
    for name, split in zip(_SPLITS, (train, evaluation), strict=True):
        for path in split.paths:
            sizes.update(os.fsencode(f"{name}/{path} {_file_size(path)}\n"))
    return Listed(
        classes=_classes(tree, train.labels, located(part, file)),
        train=Listing(labels=train.labels, image=_Paths(train.paths)),
        evaluation=Listing(labels=evaluation.labels, image=_Paths(evaluation.paths)),
        files=sizes.hexdigest(),
    )


def _returned(part: Part, file: PluginFile, spec: DataSpec) -> Mapping[str, Any]:
    what = f"data set {located(part, file)}"
    try:
        tree = part.make(**part_arguments(part, spec))
    except GmsearchError:
        raise
    except Exception as error:
        raise DataError(f"{what}: {described(error, file)}") from error
    if not isinstance(tree, Mapping) or not set(_SPLITS) <= set(tree) <= {*_SPLITS, "classes"}:
        given = sorted(map(str, tree)) if isinstance(tree, Mapping) else type(tree).__name__
        raise DataError(
            f"{what}: expected a dict of train, evaluation and optionally classes, got {given}"
        )
    for name in _SPLITS:
        if not isinstance(tree[name], Sequence) or len(tree[name]) != 2:
            raise DataError(f"{what}: {name}: expected a pair (images, labels)")
    return tree


def _lists_files(tree: Mapping[str, Any]) -> bool:
    images = tree["train"][0]
    return isinstance(images, Sequence) and all(isinstance(i, (str, Path)) for i in images)


def _arrays(tree: Mapping[str, Any]) -> Arrays:
    (train, train_labels), (evaluation, evaluation_labels) = (tree[name] for name in _SPLITS)
    classes = tree.get("classes")
    return Arrays(
        train_images=train,
        train_labels=train_labels,
        evaluation_images=evaluation,
        evaluation_labels=evaluation_labels,
        classes=None if classes is None else tuple(map(str, classes)),
    )


def _files(what: str, name: str, pair: Sequence[Any]) -> _Files:
    images, labels = pair[0], np.asarray(pair[1])
    paths = isinstance(images, Sequence) and all(isinstance(i, (str, Path)) for i in images)
    if not paths or labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise DataError(
            f"data set {what}: {name}: expected a list of paths and as many integers, got "
            f"{type(images).__name__} and {labels.dtype} {labels.shape}"
        )
    absolute = tuple(str(Path(path).absolute()) for path in images)
    return _Files(absolute, labels.astype(np.int64))


def _classes(tree: Mapping[str, Any], labels: np.ndarray, where: str) -> tuple[str, ...]:
    classes = tree.get("classes")
    return numbered(labels, where) if classes is None else tuple(map(str, classes))


def _chunks(paths: tuple[str, ...], resolution: int | None) -> Iterator[np.ndarray]:
    yield from decoded(((path, _read_file(path)) for path in paths), resolution)


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from error


def _file_size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from error
