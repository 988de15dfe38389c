"""Columns and classes of Parquet files: by name, or as the hub's header says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gmsearch.data.source import composed
from gmsearch.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Where the images and labels of one file are, and what its labels mean."""

    path: Path
    image: str
    label: str
    names: tuple[str, ...] | None
    """Names of the classes in the order of the file's labels; None where the file has none."""
    numbers: tuple[int, ...] | None = None
    """Class of the data set for each label of the file; None where they are the same."""

    @property
    def encoded(self) -> str:
        """Path of the encoded images within the table."""
        return f"{self.image}.bytes"


def opened(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; raises DataError naming it."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file; replace it") from error


def read_columns(
    train: Sequence[Path], evaluation: Sequence[Path]
) -> tuple[list[Columns], list[Columns]]:
    """Return the columns of the files of both splits, their classes numbered as the first's.

    Raises:
        DataError: a file has other columns, a damaged header, or a class that the first has not.
    """
    splits = [[_columns(path) for path in paths] for paths in (train, evaluation)]
    first = splits[0][0]
    numbered = [[_numbered(file, first) for file in files] for files in splits]
    return numbered[0], numbered[1]


def _numbered(file: Columns, first: Columns) -> Columns:
    """Map the labels of a file by the names of its classes, if these are in another order."""
    if file.names is None or first.names is None or file.names == first.names:
        return file
    known = {composed(name): number for number, name in enumerate(first.names)}
    numbers = []
    for number, name in enumerate(file.names):
        if composed(name) not in known or file.names.count(name) > 1:
            other = first.names[number] if number < len(first.names) else "missing"
            raise DataError(
                f"{file.path}: class {number} is {name!r}, which is {other!r} in {first.path} and "
                "no other class there; give all files the same classes"
            )
        numbers.append(known[composed(name)])
    same = numbers == list(range(len(numbers)))
    return file if same else dataclasses.replace(file, numbers=tuple(numbers))


def _columns(path: Path) -> Columns:
    schema = opened(path).schema_arrow
    features = _features(path, schema)
    image = _named(path, schema, features, "image", "Image")
    label = _named(path, schema, features, "label", "ClassLabel")
    kind = schema.field(image).type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise DataError(f"{path}: column {image} is {kind}; it needs a struct with bytes")
    kind = schema.field(label).type
    if not pa.types.is_integer(kind):
        raise DataError(f"{path}: column {label} is {kind}; it needs integers from 0")
    return Columns(path=path, image=image, label=label, names=_names(path, features, label))


def _named(
    path: Path, schema: Any, features: Mapping[str, Any] | None, name: str, kind: str
) -> str:
    """Return the column of that name, or else the only one of a kind in the header."""
    if name in schema.names:
        return name
    typed = [
        key
        for key, feature in (features or {}).items()
        if isinstance(feature, Mapping) and feature.get("_type") == kind and key in schema.names
    ]
    if len(typed) == 1:
        return typed[0]
    header = f" ({', '.join(typed)} are of type {kind})" if typed else ""
    raise DataError(
        f"{path} has the columns {', '.join(schema.names)}; it needs image and label, or a "
        f"huggingface header with one {kind}{header}; rename the {name} column to {name}, such as "
        "with rename_columns of pyarrow.Table"
    )


def _features(path: Path, schema: Any) -> Mapping[str, Any] | None:
    """Return the features of the hub's header by column; None where there is no header."""
    header = (schema.metadata or {}).get(b"huggingface")
    if header is None:
        return None
    try:
        features = json.loads(header)["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, "expected info.features") from error
    if not isinstance(features, Mapping):
        raise _damaged(path, "expected info.features as an object")
    return features


def _names(path: Path, features: Mapping[str, Any] | None, label: str) -> tuple[str, ...] | None:
    if features is None:
        return None
    if not isinstance(feature := features.get(label), Mapping):
        raise _damaged(path, f"it names no feature {label}")
    names = feature.get("names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(n, str | int | float) for n in names):
        raise _damaged(path, f"expected the names of feature {label} as a list of words")
    return tuple(map(str, names))


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: its huggingface header is damaged ({why}); write the file again, or drop the "
        "header"
    )
