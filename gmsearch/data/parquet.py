"""Image sets in Parquet files as the Hugging Face hub ships them.

Columns `image` (a struct with the encoded `bytes`) and `label` (integers), in `train.parquet` or
shards `train-*.parquet`, in the root or its folder `data`; the evaluation split likewise, named
`val`, `validation` or `test`. Class names come from the hub's header where there is one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gmsearch.data.decode import DECODE_VERSION, decoded
from gmsearch.data.rows import Rows
from gmsearch.data.source import (
    EVALUATION_NAMES,
    Listed,
    Listing,
    Source,
    Split,
    file_digest,
    root_folder,
)
from gmsearch.errors import DataError
from gmsearch.experiment import ParquetImages
from gmsearch.plain import digest

_CHUNK = 512


def identity(spec: ParquetImages) -> str:
    """Return a digest of the files' bytes, the resolution and the decoder's version."""
    splits = [[file_digest(path) for path in paths] for paths in _files(spec)]
    return digest({"parquet": splits, "resolution": spec.resolution, "version": DECODE_VERSION})


def source(spec: ParquetImages) -> Source:
    """Read labels and class names; raises DataError for files of another form."""
    train, evaluation = _files(spec)
    labels = [_labels(paths) for paths in (train, evaluation)]
    return Source(
        classes=_classes(train[0], labels[0]),
        train=Split(labels=labels[0], chunks=_chunks(train, spec.resolution)),
        evaluation=Split(labels=labels[1], chunks=_chunks(evaluation, spec.resolution)),
    )


def listed(spec: ParquetImages) -> Listed:
    """Read labels and class names but no images; raises DataError as `source`."""
    splits = _files(spec)
    train, evaluation = (_listing(paths) for paths in splits)
    sizes = [[[path.name, path.stat().st_size] for path in paths] for paths in splits]
    return Listed(
        classes=_classes(splits[0][0], train.labels),
        train=train,
        evaluation=evaluation,
        files=digest(sizes),
    )


def _listing(paths: Sequence[Path]) -> Listing:
    labels = _labels(paths)
    rows, sizes = [], []
    for path in paths:
        data = _open(path).metadata
        groups = [data.row_group(i) for i in range(data.num_row_groups)]
        rows.append([group.num_rows for group in groups])
        sizes += [group.total_byte_size for group in groups]
    return Listing(
        labels=labels,
        image=Rows(paths, rows),
        block=np.repeat(np.arange(len(sizes)), [n for file in rows for n in file]),
        block_bytes=np.array(sizes, dtype=np.int64),
    )


def _files(spec: ParquetImages) -> tuple[list[Path], list[Path]]:
    root = root_folder(spec.root)
    train = _split_files(root, "train")
    if not train:
        raise DataError(f"{root} contains neither train.parquet nor train-*.parquet; add one")
    for name in EVALUATION_NAMES:
        if evaluation := _split_files(root, name):
            return train, evaluation
    raise DataError(f"{root} contains no parquet file val, validation or test; add one")


def _split_files(root: Path, split: str) -> list[Path]:
    for folder in (root, root / "data"):
        if (whole := folder / f"{split}.parquet").exists():
            return [whole]
        if shards := sorted(folder.glob(f"{split}-*.parquet")):
            announced = re.search(r"-of-(\d+)", shards[-1].stem)
            if announced is not None and int(announced[1]) != len(shards):
                raise DataError(
                    f"{folder} contains {len(shards)} of {int(announced[1])} shards of the "
                    f"{split} split; download the others"
                )
            return shards
    return []


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file; replace it") from error
    schema = file.schema_arrow
    if not {"image", "label"} <= set(schema.names):
        raise DataError(
            f"{path} has the columns {', '.join(schema.names)}; it needs image and label"
        )
    image, label = schema.field("image").type, schema.field("label").type
    if not pa.types.is_struct(image) or image.get_field_index("bytes") < 0:
        raise DataError(f"{path}: column image is {image}; it needs a struct with bytes")
    if not pa.types.is_integer(label):
        raise DataError(f"{path}: column label is {label}; it needs integers from 0")
    return file


def _labels(paths: Sequence[Path]) -> np.ndarray:
    columns = []
    for path in paths:
        column = _read_labels(path)
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise DataError(f"{path} row {row} has no label; add it or drop the row")
        columns.append(column.to_numpy().astype(np.int64))
    return np.concatenate(columns)


def _read_labels(path: Path) -> pa.ChunkedArray:
    file = _open(path)
    try:
        return file.read(columns=["label"]).column("label")
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); replace it") from error


def _classes(path: Path, labels: np.ndarray) -> tuple[str, ...]:
    """Return the class names of the header, or else numbers up to the largest label."""
    names = _class_names(path)
    if names is None:
        names = tuple(str(label) for label in range(int(labels.max(initial=-1)) + 1))
    return names


def _class_names(path: Path) -> tuple[str, ...] | None:
    header = (_open(path).schema_arrow.metadata or {}).get(b"huggingface")
    if header is None:
        return None
    try:
        feature = json.loads(header)["info"]["features"]["label"]
        names = feature.get("names")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: its huggingface header names no feature label") from error
    return None if names is None else tuple(map(str, names))


def _chunks(
    paths: Sequence[Path], resolution: int | None
) -> functools.partial[Iterator[np.ndarray]]:
    return functools.partial(_decoded_rows, paths, resolution)


def _decoded_rows(paths: Sequence[Path], resolution: int | None) -> Iterator[np.ndarray]:
    yield from decoded(_rows(paths), resolution)


def _rows(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        row = 0
        try:
            for batch in _open(path).iter_batches(_CHUNK, columns=["image.bytes"]):
                for data in batch.column("image").field("bytes").to_pylist():
                    name = f"{path} row {row}"
                    if data is None:
                        raise DataError(f"{name} has no image bytes; embed the image")
                    yield name, data
                    row += 1
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged after row {row}; replace it") from error
