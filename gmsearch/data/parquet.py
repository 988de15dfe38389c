"""Image sets in Parquet files as the Hugging Face hub ships them.

Columns `image` (a struct with the encoded `bytes`) and `label` (integers), or those of type Image
and ClassLabel in the hub's header; files as in `gmsearch.data.shards`. Class names come from the
header where there is one. Labels of files that list the same classes in another order than the
first are mapped by name.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from gmsearch.data.columns import Columns, opened, read_columns
from gmsearch.data.decode import DECODE_VERSION, decoded
from gmsearch.data.rows import Rows
from gmsearch.data.shards import split_paths
from gmsearch.data.source import Listed, Listing, Source, Split, file_digest, numbered
from gmsearch.errors import DataError
from gmsearch.experiment import ParquetImages
from gmsearch.plain import digest

_CHUNK = 512


def identity(spec: ParquetImages) -> str:
    """Return a digest of the files' bytes, the resolution and the decoder's version.

    How labels are mapped follows from the bytes, but was ignored by the first release.
    """
    splits = _files(spec)
    digests = [[file_digest(file.path) for file in files] for files in splits]
    return digest(
        {
            "parquet": digests,
            "resolution": spec.resolution,
            "version": DECODE_VERSION,
            **_mapped(splits),
        }
    )


def source(spec: ParquetImages) -> Source:
    """Read labels and class names; raises DataError for files of another form."""
    train, evaluation = _files(spec)
    labels = [_labels(files) for files in (train, evaluation)]
    return Source(
        classes=_classes(spec, train, labels[0]),
        train=Split(labels=labels[0], chunks=_chunks(train, spec.resolution)),
        evaluation=Split(labels=labels[1], chunks=_chunks(evaluation, spec.resolution)),
    )


def listed(spec: ParquetImages) -> Listed:
    """Read labels and class names but no images; raises DataError as `source`."""
    splits = _files(spec)
    train, evaluation = (_listing(files) for files in splits)
    sizes = [[[file.path.name, file.path.stat().st_size] for file in files] for files in splits]
    mapped = _mapped(splits)
    return Listed(
        classes=_classes(spec, splits[0], train.labels),
        train=train,
        evaluation=evaluation,
        files=digest({"sizes": sizes, **mapped} if mapped else sizes),
    )


def _listing(files: Sequence[Columns]) -> Listing:
    labels = _labels(files)
    rows, sizes = [], []
    for file in files:
        data = opened(file.path).metadata
        groups = [data.row_group(i) for i in range(data.num_row_groups)]
        rows.append([group.num_rows for group in groups])
        sizes += [group.total_byte_size for group in groups]
    return Listing(
        labels=labels,
        image=Rows([(file.path, file.image) for file in files], rows),
        block=np.repeat(np.arange(len(sizes)), [n for file in rows for n in file]),
        block_bytes=np.array(sizes, dtype=np.int64),
    )


def _files(spec: ParquetImages) -> tuple[list[Columns], list[Columns]]:
    """Return the files of both splits; whatever is wrong with their headers is refused here."""
    return read_columns(*split_paths(spec.root))


def _mapped(splits: Sequence[Sequence[Columns]]) -> dict[str, list[list[tuple[int, ...] | None]]]:
    """Return how labels are mapped, as a part of the data's identity; empty if none are."""
    numbers = [[file.numbers for file in files] for files in splits]
    return {"numbers": numbers} if any(any(files) for files in numbers) else {}


def _labels(files: Sequence[Columns]) -> np.ndarray:
    columns = []
    for file in files:
        column = _read_labels(file)
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise DataError(f"{file.path} row {row} has no label; add it or drop the row")
        columns.append(_numbered(file, column.to_numpy().astype(np.int64)))
    return np.concatenate(columns)


def _numbered(file: Columns, labels: np.ndarray) -> np.ndarray:
    """Return the labels of a file as those of the data set."""
    if file.numbers is None:
        return labels
    wrong = labels[(labels < 0) | (labels >= len(file.numbers))]
    if len(wrong):
        raise DataError(
            f"{file.path}: label {wrong[0]} is outside 0..{len(file.numbers) - 1}; "
            "correct the labels or the class names"
        )
    mapped: np.ndarray = np.array(file.numbers, dtype=np.int64)[labels]
    return mapped


def _read_labels(file: Columns) -> pa.ChunkedArray:
    try:
        return opened(file.path).read(columns=[file.label]).column(file.label)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file.path} is damaged ({error}); replace it") from error


def _classes(spec: ParquetImages, train: Sequence[Columns], labels: np.ndarray) -> tuple[str, ...]:
    """Return the class names of the header, or else numbers up to the largest label."""
    names = train[0].names
    return numbered(labels, spec.place) if names is None else names


def _chunks(
    files: Sequence[Columns], resolution: int | None
) -> functools.partial[Iterator[np.ndarray]]:
    return functools.partial(_decoded_rows, files, resolution)


def _decoded_rows(files: Sequence[Columns], resolution: int | None) -> Iterator[np.ndarray]:
    yield from decoded(_rows(files), resolution)


def _rows(files: Sequence[Columns]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        row = 0
        try:
            for batch in opened(file.path).iter_batches(_CHUNK, columns=[file.encoded]):
                for data in batch.column(file.image).field("bytes").to_pylist():
                    name = f"{file.path} row {row}"
                    if data is None:
                        raise DataError(f"{name} has no image bytes; embed the image")
                    yield name, data
                    row += 1
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file.path} is damaged after row {row}; replace it") from error
