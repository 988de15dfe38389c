"""A plugin and the parts that it registers, as data."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from gmsearch.experiment.plugin import PluginFile

Kind = Literal["activation", "product", "family", "metric", "dataset"]
Key = tuple[Kind, str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument of a family or a data set, which a space file may set."""

    hint: Any
    """Type, as in an annotation, with tuples for lists."""

    default: Any
    """Plain data with tuples; MISSING where a value is required."""

    as_list: bool = False
    """Whether the registered object takes a list where a spec holds a tuple."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """One part that a plugin registers."""

    kind: Kind
    name: str
    make: Callable[..., Any]
    """Class or function that was registered."""

    arguments: Mapping[str, Argument] = dataclasses.field(default_factory=dict)
    better: Literal["lower", "higher"] = "higher"
    """Direction of a metric."""

    steps: int | None = None
    """Element-wise operations per element of an activation; None if measured."""

    kernel: bool = False
    """Whether a product takes `kernel_size`."""

    cost: Callable[..., Mapping[str, int]] | None = None
    """Stated cost of a product or family; None if measured."""

    @property
    def key(self) -> Key:
        """Kind and name."""
        return self.kind, self.name


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plugin:
    """A plugin whose parts are registered, or can be."""

    file: PluginFile
    path: Path
    """The file, or the package's first file; in a study folder where it was not executed."""

    parts: tuple[Part, ...]
    sources: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    """Files to be kept with a study, by name relative to the plugin's folder."""

    watched: Mapping[Path, str] = dataclasses.field(default_factory=dict)
    """SHA-256 of every file that the plugin's digest covers."""

    version: str | None = None
    """Version of an installed package."""


def located(part: Part, file: PluginFile) -> str:
    """Return how a message names a part: `shifted of my_gates.py:24`, the line of its code."""
    try:
        code = inspect.unwrap(part.make)
        line = f":{inspect.getsourcelines(code)[1]}"
        name = Path(inspect.getfile(code)).name
    except (TypeError, OSError):
        return f"{part.name} of {file.reference}"
    return f"{part.name} of {file.reference if name == '__init__.py' else name}{line}"
