"""The section `plugins`: the user's own parts, which are loaded before the rest is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmsearch import plugins
from gmsearch.errors import PluginError
from gmsearch.experiment import PluginFile
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import shown

Announce = Callable[[str, Mapping[str, Path]], None]
"""Called with the study's name and the plugins' files by reference, before they are executed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PluginLoader:
    """How the plugins of one space file are loaded."""

    file: Path
    """The space file; its plugins are relative to its folder."""

    execute: bool | None = None
    """Whether they are executed, or only declared, as a study's folder allows; by default those
    of a study's frozen copy are declared and any others are executed."""

    announce: Announce | None = None

    def load(self, study: str, references: Sequence[str]) -> tuple[plugins.Plugin, ...]:
        """Add the parts of the plugins to the tables.

        Raises:
            PluginError: where a plugin is missing or does not load.
        """
        folder = self.file.parent
        frozen = (folder / plugins.DECLARED).exists()
        if self.execute is False or (self.execute is None and frozen):
            return plugins.declare(folder)

        def announce(files: Mapping[str, Path]) -> None:
            if self.announce is not None:
                self.announce(study, files)

        if frozen:
            return plugins.load_kept(folder, announce=announce)
        return plugins.load(references, folder, announce=announce)


def read_plugins(node: Node, study: str, loader: PluginLoader) -> tuple[PluginFile, ...]:
    """Load the plugins that a space file names; return their identities.

    Raises:
        SpaceError: where a plugin is missing or does not load: the rest of the file may use it.
    """
    before = len(node.mistakes)
    references = _references(node)
    if not references or len(node.mistakes) > before:
        return ()
    try:
        loaded = loader.load(study, references)
    except PluginError as error:
        positions = {item.value: item.position for item in node.items}
        position = positions.get(error.reference, node.position)
        node.mistakes.fatal(position, f"plugins: {error}")
    return tuple(plugin.file for plugin in loaded)


def _references(node: Node) -> list[str]:
    """Return the names of plugins: files relative to the space file, or installed packages."""
    if not isinstance(node.value, tuple):
        node.wrong(
            f"expected a list of files or packages, got {shown(node.plain())}; write [my_gates.py]"
        )
    names: list[str] = []
    for item in node.items:
        if not isinstance(item.value, str):
            item.wrong(f"expected a file or a package, got {shown(item.plain())}")
        elif item.value in names:
            item.wrong(f"{item.value} is listed twice; remove one")
        else:
            names.append(item.value)
    return names


def plugins_schema() -> dict[str, Any]:
    """Return the JSON Schema of the section."""
    return {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
