"""The plugins of a study folder: declared for a reader, executed from its copies for a worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmsearch.errors import PluginError, StudyError
from gmsearch.experiment.plugin import PluginFile
from gmsearch.plugins.declared import DECLARED, KEPT, Unexecuted, read_declared
from gmsearch.plugins.load import Announce, file_digest, load, loaded
from gmsearch.plugins.parts import Plugin
from gmsearch.plugins.tables import enter, entered


def declare(folder: Path, *, reason: str = "") -> tuple[Plugin, ...]:
    """Enter the parts of a study's plugins without executing them, and return the plugins.

    A part that is in the tables from the same plugin, executed, stays.

    Args:
        folder: a study's folder.
        reason: what an error says where a part is used all the same.

    Raises:
        PluginError: where the declaration is missing or damaged.
    """
    plugins = read_declared(folder)
    for plugin in plugins:
        missing = [part for part in plugin.parts if entered(part.key) != plugin.file]
        make = Unexecuted(plugin.file, reason)
        parts = tuple(dataclasses.replace(part, make=make) for part in missing)
        enter(dataclasses.replace(plugin, parts=parts))
    return plugins


def load_kept(
    folder: Path,
    *,
    files: Sequence[PluginFile] | None = None,
    announce: Announce | None = None,
) -> tuple[Plugin, ...]:
    """Execute the plugins of a study from the copies in its folder, each file as it was kept.

    Args:
        folder: a study's folder.
        files: the identities that are wanted; those of the declaration where it is None.
        announce: called before any of them is executed.

    Raises:
        PluginError: where a copy is missing or is not the file the study began with, or an
            installed package is not.
    """
    kept = {plugin.file: plugin for plugin in read_declared(folder)}
    for file in kept if files is None else files:
        if file not in kept:
            raise _changed(file, folder / KEPT / file.reference)
    for plugin in kept.values():
        for source, sha256 in plugin.watched.items():
            _require_kept(source, sha256)
    references = [file.reference for file in kept]
    plugins = load(references, folder / KEPT, announce=announce)
    for plugin in plugins:
        if plugin.file not in kept:
            before = next(file for file in kept if file.reference == plugin.file.reference)
            raise _changed(before, plugin.path)
    return plugins


def _changed(file: PluginFile, path: Path) -> PluginError:
    return PluginError(
        f"{path}: is not the {file.reference} (SHA-256 {file.sha256[:16]}) that the study began "
        "with; restore it"
    )


def load_for_plan(tree: Mapping[str, Any]) -> None:
    """Enter the parts of a plan's plugins into the tables of this process, before it is built.

    They are executed from the copies in the study's folder, once a process. Where that fails
    the parts are declared, and the plan fails with the reason as soon as it uses one.

    Args:
        tree: the plan as plain data.
    """
    files = [PluginFile(**file) for file in tree["plugins"]]
    if not files:
        return
    executed = [loaded(file) for file in files]
    if None not in executed:
        for plugin in executed:
            enter(plugin)  # type: ignore[arg-type] # none of them is None
        return
    folder = Path(tree["study_dir"])
    try:
        load_kept(folder, files=files)
    except PluginError as error:
        declare(folder, reason=f"is not executed here: {error}")


def require_unchanged(folder: Path, plugins: Sequence[Plugin], names: Collection[str]) -> None:
    """Raise StudyError where a plugin that a study depends on has changed.

    Every study depends on a plugin with a metric, since it measures every trial.

    Args:
        folder: the study's folder, with or without a declaration.
        plugins: the plugins of the space file as they are now.
        names: activations, products, families and data that the study's arms may use.
    """
    if not (folder / DECLARED).exists():
        return
    now = {plugin.file.reference: plugin for plugin in plugins}
    for before in read_declared(folder):
        plugin = now.get(before.file.reference)
        if plugin is None or plugin.file != before.file:
            _require_unused(before, folder, names, now=plugin.path if plugin else None)


def changed_plugins(folder: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Return those of some plugins' files that are not as a study keeps them; execute none.

    Args:
        folder: the study's folder, with or without a declaration.
        files: the files as they are now, by reference.
    """
    if not (folder / DECLARED).exists():
        return dict(files)
    known = {plugin.file.reference: plugin for plugin in read_declared(folder)}
    return {
        name: path
        for name, path in files.items()
        if name not in known or _changed_files(known[name], path)
    }


def require_unused(folder: Path, files: Mapping[str, Path], names: Collection[str]) -> None:
    """Raise StudyError where a study depends on one of some changed plugins; execute none.

    Args:
        folder: the study's folder, with or without a declaration.
        files: the changed files by reference, see `changed_plugins`.
        names: activations, products, families and data that the study's arms may use.
    """
    if not (folder / DECLARED).exists():
        return
    for before in read_declared(folder):
        if before.file.reference in files:
            _require_unused(before, folder, names, now=files[before.file.reference])


def _require_unused(
    before: Plugin, folder: Path, names: Collection[str], *, now: Path | None
) -> None:
    if not any(part.kind == "metric" or part.name in names for part in before.parts):
        return
    what = "is no longer in `plugins`" if now is None else "has changed"
    changed = [] if now is None else _changed_files(before, now)
    raise StudyError(
        f"{now or before.file.reference} {what} since {folder} began; rename `study` in the space "
        f"file, or restore {', '.join(changed or [before.file.reference])} from {folder / KEPT}"
    )


def _changed_files(before: Plugin, now: Path) -> list[str]:
    """Return the files of a plugin that are missing now, or not what they were."""
    base = now.parent.parent if now.name == "__init__.py" else now.parent
    return [
        name
        for name, source in before.sources.items()
        if not (base / name).is_file() or file_digest(base / name) != before.watched[source]
    ]


def _require_kept(source: Path, sha256: str) -> None:
    try:
        same = file_digest(source) == sha256
    except OSError:
        raise PluginError(f"{source} is missing; restore the study's copy of it") from None
    if not same:
        raise PluginError(f"{source}: is not the file that the study began with; restore it")
