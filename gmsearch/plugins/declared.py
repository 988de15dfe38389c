"""Declarations of a study's plugins as JSON: the study is read without executing them.

A study keeps `plugins.json` next to its frozen space file, and a copy of every file in `plugins/`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from gmsearch.bounded import LARGEST, decoded
from gmsearch.errors import PluginError
from gmsearch.experiment.plugin import PluginFile
from gmsearch.plain import frozen, plain
from gmsearch.plugins.hints import from_json, to_json
from gmsearch.plugins.parts import Argument, Kind, Part, Plugin

DECLARED = "plugins.json"
KEPT = "plugins"
"""File and folder of a study folder."""


def kept_files(plugins: Sequence[Plugin]) -> Iterator[tuple[str, bytes]]:
    """Yield the files about its plugins that a study folder keeps, as relative path and content.

    The declaration comes last, so that it never names a file that was not written.
    """
    for plugin in plugins:
        for name, source in plugin.sources.items():
            yield f"{KEPT}/{name}", source.read_bytes()
    if not plugins:
        return
    tree = [_declaration(plugin) for plugin in plugins]
    yield DECLARED, (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode()


def _declaration(plugin: Plugin) -> dict[str, Any]:
    return {
        **plain(plugin.file),
        "version": plugin.version,
        "files": {name: plugin.watched[source] for name, source in plugin.sources.items()},
        "parts": [_part_json(part) for part in plugin.parts],
    }


def _part_json(part: Part) -> dict[str, Any]:
    arguments = {
        name: {
            "type": to_json(argument.hint),
            **({"list": True} if argument.as_list else {}),
            **({} if argument.default is dataclasses.MISSING else {"default": argument.default}),
        }
        for name, argument in part.arguments.items()
    }
    tree: dict[str, Any] = {"kind": part.kind, "name": part.name}
    if part.kind == "metric":
        tree["better"] = part.better
    if part.kernel:
        tree["kernel"] = True
    return {**tree, "arguments": arguments} if part.kind in ("family", "dataset") else tree


def read_declared(folder: Path) -> tuple[Plugin, ...]:
    """Return the plugins of a study folder without executing them.

    Args:
        folder: a study's folder.

    Raises:
        PluginError: where the declaration is missing or damaged.
    """
    path = folder / DECLARED
    try:
        with path.open("rb") as file:
            tree = decoded(file.read(LARGEST))
        return tuple(_declared_plugin(one, folder) for one in tree)
    except FileNotFoundError:
        raise PluginError(f"{path} is missing; restore it from a backup") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PluginError(f"{path}: damaged: {error!r}; restore it from a backup") from error


class Unexecuted:
    """Placeholder for a class or function of a plugin that was not executed."""

    def __init__(self, file: PluginFile, reason: str) -> None:
        self._message = f"{file.reference} {reason or 'was not executed'}"

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise PluginError."""
        raise PluginError(self._message)


def _declared_plugin(tree: Mapping[str, Any], folder: Path) -> Plugin:
    file = PluginFile(reference=str(tree["reference"]), sha256=str(tree["sha256"]))
    if Path(file.reference).name != file.reference:
        raise ValueError(f"{file.reference!r} is not a file name")
    kept = folder / KEPT
    sources = {str(name): _path_below(kept, str(name)) for name in tree["files"]}
    return Plugin(
        file=file,
        path=kept / file.reference,
        parts=tuple(_part(part) for part in tree["parts"]),
        sources=sources,
        watched={sources[str(name)]: str(sha256) for name, sha256 in tree["files"].items()},
        version=tree["version"],
    )


def _path_below(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} leaves the study folder")
    return path


def _part(tree: Mapping[str, Any]) -> Part:
    if tree["kind"] not in get_args(Kind):
        raise ValueError(f"{tree['kind']!r} is not a kind of part")
    arguments = {
        str(name): Argument(
            hint=from_json(one["type"]),
            default=frozen(one["default"]) if "default" in one else dataclasses.MISSING,
            as_list=bool(one.get("list", False)),
        )
        for name, one in tree.get("arguments", {}).items()
    }
    return Part(
        kind=tree["kind"],
        name=str(tree["name"]),
        make=Unexecuted(PluginFile(reference="", sha256=""), ""),
        arguments=arguments,
        better=tree.get("better", "higher"),
        kernel=bool(tree.get("kernel", False)),
    )
