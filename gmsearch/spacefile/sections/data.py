"""The section `data`: the images of a study."""

from __future__ import annotations

import os
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from gmsearch.experiment import DATA_SPECS, DataSpec
from gmsearch.limits import Text
from gmsearch.spacefile.fields import fields_of
from gmsearch.spacefile.values import Spellings, build_from, read_values, section_schema
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import listing, near, shown

DATA_VARIABLE = "GMSEARCH_DATA"
"""Environment variable with the folder of the images; it overrides the file."""
_Root = Annotated[
    str,
    Text(
        pattern=r"[^\x00]+",
        words="the path of a folder; a relative one starts at the current folder",
    ),
]


def read_data(node: Node, data_root: Path | None) -> DataSpec | None:
    """Return the data; `data_root` overrides the environment, which overrides the file."""
    name = node.mapping.get("name")
    if name is None:
        node.wrong(f"name is missing; {near('', DATA_SPECS)}", node.key)
        return None
    if not isinstance(name.value, str) or name.value not in DATA_SPECS:
        node.wrong(
            f"expected a data set, got {shown(name.plain())}; {near(name.value, DATA_SPECS)}",
            name.position,
        )
        return None
    cls = DATA_SPECS[name.value]
    values = read_values(node, cls, _spellings(cls))
    if values is None:
        return None
    if "root" in fields_of(cls) and "root" not in values.wrong:
        default = fields_of(cls)["root"].default  # None where a folder is required
        root = _root(values.given.get("root", default), node, data_root)
        values.given["root"] = root
        values.wrong |= set() if root is not None else {"root"}
    spec: DataSpec | None = build_from(node, cls, values)
    return spec


def _root(given: str | None, node: Node, data_root: Path | None) -> str | None:
    """Return the absolute path of the folder of images; None where it is unknown."""
    root = data_root or os.environ.get(DATA_VARIABLE) or given
    if root is None:
        node.wrong(
            f"root is missing; add `root: FOLDER`, or give --data-root or {DATA_VARIABLE}",
            node.key,
        )
        return None
    try:
        return str(Path(root).expanduser().absolute())
    except RuntimeError:
        node.wrong(f"{shown(str(root))} has no home folder; write the path out", node.key)
        return None


def _spellings(cls: type[DataSpec]) -> Spellings:
    """Return what the file may leave out, and why `stream` is limited to one value."""
    fields = fields_of(cls)
    spellings: dict[str, tuple[Any, str | None]] = {}
    if "root" in fields:
        spellings["root"] = (_Root | None, "the path of a folder")
    if "stream" in fields:
        spellings["stream"] = (fields["stream"].type, _stream_words(cls))
    return spellings


def _stream_words(cls: type[DataSpec]) -> str | None:
    allowed = _stream_values(cls)
    if allowed == (True,):
        return "true (such images are always streamed)"
    if allowed == (False,):
        streamed = [name for name, other in DATA_SPECS.items() if True in _stream_values(other)]
        return f"false (only {listing(streamed)} can be streamed)"
    return None


def _stream_values(cls: type[DataSpec]) -> tuple[bool, ...]:
    """Return the values that `stream` may have."""
    hint = typing.get_type_hints(cls).get("stream", Literal[False])
    return typing.get_args(hint) or (False, True)


def data_schema() -> dict[str, Any]:
    """Return the JSON Schema of the section: one alternative per data set."""
    return {"anyOf": [_set_schema(cls) for cls in DATA_SPECS.values()]}


def _set_schema(cls: type[DataSpec]) -> dict[str, Any]:
    section = section_schema(cls, _spellings(cls))
    section["properties"]["name"]["description"] = (cls.__doc__ or "").partition("\n")[0]
    return {**section, "required": _with_name(section)}


def _with_name(section: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(["name", *section["required"]]))
