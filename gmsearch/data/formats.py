"""Readers of data sets by name: what decodes a set into memory, and what streams it.

To add a data set, write its module, add a row to FORMATS and its spec to
`gmsearch.experiment.DATA_SPECS`. The data sets of plugins are in `gmsearch.data.plugin_sets`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from gmsearch.data.source import Listed, Source
from gmsearch.errors import FieldError
from gmsearch.experiment import DataSpec, PluginFile
from gmsearch.plugins import Part, entered_part
from gmsearch.tables import Table


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Decodable:
    """A data set that can be decoded into memory."""

    identity: str
    """Digest of everything that determines the pixels."""
    source: Callable[[], Source]
    """Returns labels and images; called only where the cache does not have them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How a data set is read; both functions take its spec and may raise DataError."""

    stored: Callable[[Any], Decodable] | None = None
    """Opens the set for decoding into memory; None where it can only be streamed."""
    streamed: Callable[[Any], Listed] | None = None
    """Lists the images without decoding any; None where the set cannot be streamed."""
    left_out: Callable[[Any], Counter[str]] | None = None
    """Counts the files beside the images by reason; None where there is nothing to leave out."""
    identity_of: Literal["parameters", "bytes"] = "bytes"
    """What the identity of the decoded set is a digest of."""
    source: str | None = None
    """SHA-256 of the file that defines the format; None for the formats of this package."""


def _stored(module: str) -> Callable[[Any], Decodable]:
    """Return the opener of a module with the functions `identity` and `source`."""

    def stored(spec: DataSpec) -> Decodable:
        loaded = _imported(module)
        return Decodable(
            identity=loaded.identity(spec), source=functools.partial(loaded.source, spec)
        )

    return stored


def _stream_opener(module: str) -> Callable[[Any], Listed]:
    """Return the function `listed` of a module."""

    def listed(spec: DataSpec) -> Listed:
        images: Listed = _imported(module).listed(spec)
        return images

    return listed


def _left_out(module: str) -> Callable[[Any], Counter[str]]:
    """Return the function `left_out` of a module."""

    def left_out(spec: DataSpec) -> Counter[str]:
        counts: Counter[str] = _imported(module).left_out(spec)
        return counts

    return left_out


def _imported(module: str) -> Any:
    """Import a format when it is used: some need pyarrow, timm or torchvision."""
    return importlib.import_module(f"gmsearch.data.{module}")


class _Formats(Table[Format]):
    """Readers by name; that of a plugin's data set follows from the plugin's table."""

    def __missing__(self, name: str) -> Format:
        """Return the reader of a plugin's data set; FieldError, with the names, for any other."""
        part = entered_part(("dataset", name))
        return super().__missing__(name) if part is None else _of_plugin(*part)


def _of_plugin(part: Part, file: PluginFile) -> Format:
    def stored(spec: DataSpec) -> Decodable:
        from gmsearch.data import plugin_sets

        return plugin_sets.stored(part, file, spec)

    def streamed(spec: DataSpec) -> Listed:
        from gmsearch.data import plugin_sets

        return plugin_sets.listed(part, file, spec)

    return Format(stored=stored, streamed=streamed, source=file.sha256)


FORMATS: Table[Format] = _Formats(
    "name",
    {
        "spectral": Format(stored=_stored("spectral"), identity_of="parameters"),
        "parquet": Format(stored=_stored("parquet"), streamed=_stream_opener("parquet")),
        "folder": Format(
            stored=_stored("folder"),
            streamed=_stream_opener("folder"),
            left_out=_left_out("folder"),
        ),
        "cifar10": Format(stored=_stored("cifar")),
        "cifar100": Format(stored=_stored("cifar")),
        "timm": Format(streamed=_stream_opener("timm_sets"), left_out=_left_out("timm_sets")),
    },
)
"""Reader of every data set, by the `name` of its spec."""


def left_out(spec: DataSpec) -> Counter[str]:
    """Return how many files of a data set that can be opened are not among its images, by reason.

    Apart from opening a set, since only a person wants to know, and it reads every folder.
    """
    count = FORMATS[spec.name].left_out
    return Counter() if count is None else count(spec)


def open_stored(spec: DataSpec) -> Decodable:
    """Return a data set that can be decoded into memory.

    Raises:
        DataError: for data that is missing or of another form.
        FieldError: where the data set can only be streamed.
    """
    stored = FORMATS[spec.name].stored
    if stored is None:
        raise FieldError("stream", f"{spec.name} can only be streamed; set `stream: true`")
    return stored(spec)


def open_streamed(spec: DataSpec) -> Listed:
    """Return the images of a data set, which are decoded on request.

    Raises:
        DataError: for files that are missing or of another form.
        FieldError: where the data set cannot be streamed.
    """
    streamed = FORMATS[spec.name].streamed
    if streamed is None:
        raise FieldError("stream", f"{spec.name} cannot be streamed; set `stream: false`")
    return streamed(spec)
