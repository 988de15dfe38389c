"""The section `plugins`: names of the user's parts, which are loaded before the rest is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from gmsearch import plugins
from gmsearch.errors import PluginError
from gmsearch.experiment import PluginFile
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.nodes import Node

Announce = Callable[[str, Sequence[Path]], None]
"""Called with the name of the study and the files that are about to be executed."""


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
        """Have the parts of the plugins in the tables.

        Raises:
            PluginError: where a plugin is missing or does not load.
        """
        folder = self.file.parent
        frozen = (folder / plugins.DECLARED).exists()
        if self.execute is False or (self.execute is None and frozen):
            return plugins.declare(folder)

        def announce(paths: Sequence[Path]) -> None:
            if self.announce is not None:
                self.announce(study, paths)

        if frozen:
            return plugins.load_kept(folder, announce=announce)
        return plugins.load(references, folder, announce=announce)


def load_plugins(
    node: Node, study: str, references: Sequence[str], loader: PluginLoader, mistakes: Mistakes
) -> tuple[PluginFile, ...]:
    """Load the plugins a space file names; return their identities.

    Raises:
        SpaceError: a plugin is missing or does not load, so that the file cannot be read on.
    """
    if not references:
        return ()
    try:
        loaded = loader.load(study, references)
    except PluginError as error:
        items = node.value if isinstance(node.value, tuple) else ()
        places = {item.value: item.place for item in items}
        mistakes.fatal(places.get(error.reference, node.place), f"plugins: {error}")
    return tuple(plugin.file for plugin in loaded)
