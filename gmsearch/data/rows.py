"""Random access to the images of Parquet files, which are read by whole row groups."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from gmsearch.data.decode import rgb
from gmsearch.data.source import TOGETHER_BYTES
from gmsearch.errors import DataError


class Rows:
    """Images of one split by index; the row groups read last are kept in memory."""

    def __init__(self, files: Sequence[tuple[Path, str]], rows: Sequence[Sequence[int]]) -> None:
        """Keep the files with the column of their images, and the rows of each row group."""
        self._files = files
        self._rows = rows
        self._places = [(file, group) for file, n in enumerate(rows) for group in range(len(n))]
        sizes = itertools.chain.from_iterable(rows)
        self._starts = np.array([0, *itertools.accumulate(sizes)])
        self._file_starts = [0, *itertools.accumulate(map(sum, rows))]
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the row groups in memory."""
        return Rows, (self._files, self._rows)

    def __call__(self, index: int) -> Image.Image:
        """Return the image of one row as RGB; raises DataError naming file and row."""
        block = int(np.searchsorted(self._starts, index, side="right")) - 1
        file, _ = self._places[block]
        name = f"{self._files[file][0]} row {index - self._file_starts[file]}"
        data = self._group(block)[index - int(self._starts[block])].as_py()
        if data is None:
            raise DataError(f"{name} has no image bytes; embed the image")
        return rgb(name, data)

    def _group(self, block: int) -> Any:
        """Return the encoded images of a row group."""
        if block in self._kept:
            self._kept.move_to_end(block)
        else:
            self._kept[block] = self._read(*self._places[block])
            while len(self._kept) > 1 and self._kept_bytes() > TOGETHER_BYTES:
                self._kept.popitem(last=False)
        return self._kept[block]

    def _kept_bytes(self) -> int:
        return sum(group.nbytes for group in self._kept.values())

    def _read(self, file: int, group: int) -> Any:
        path, column = self._files[file]
        try:
            table = pq.ParquetFile(path).read_row_group(
                group, columns=[f"{column}.bytes"], use_threads=False
            )
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged in row group {group}; replace it") from error
        return table.column(column).combine_chunks().field("bytes")
