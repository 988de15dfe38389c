"""From a file to a space, or to all the mistakes in it."""

from __future__ import annotations

from pathlib import Path

from gmsearch.errors import InputError
from gmsearch.space.space import Space
from gmsearch.spacefile.assemble import assemble
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.nodes import parse
from gmsearch.spacefile.plugins import Announce, PluginLoader

MAX_BYTES = 256 * 1024


def load_space(
    path: Path,
    *,
    data_root: Path | None = None,
    execute: bool | None = None,
    announce: Announce | None = None,
) -> Space:
    """Read a space file, its plugins first.

    Args:
        path: The file, YAML 1.2 in UTF-8.

        data_root: Where the images of a stored set lie; it goes before the environment variable
            GMSEARCH_DATA, which goes before the file. A reader of a finished study, who needs no
            image, may pass any folder.

        execute: Whether plugins are executed, or only declared from what the study's folder
            recorded. By default those of a study's frozen copy are declared, any others executed.

        announce: Called with the study's name and the plugins' files before they are executed.

    Raises:
        SpaceError: for what is wrong in the file, all of it, each with line and column.
        InputError: for a file that is missing, unreadable or far too large.
    """
    mistakes = Mistakes(str(path))
    loader = PluginLoader(file=path, execute=execute, announce=announce)
    text = _decoded(_read(path), mistakes)
    space = assemble(parse(text, mistakes), text, data_root, loader, mistakes)
    mistakes.raise_any()
    return space


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near_by = ", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))[:8])
        there = f"; {path.parent} has {near_by}" if near_by else ""
        raise InputError(
            f"{path}: there is no such file; give the path of a space file{there}"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give the path of a space file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read ({reason}); give a readable file") from None
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{path}: is larger than {MAX_BYTES // 1024} KiB; a space file has some hundred lines"
        )
    return content


def _decoded(content: bytes, mistakes: Mistakes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = content[: error.start].split(b"\n")
        column = len(lines[-1].decode("utf-8", errors="replace")) + 1
        mistakes.fatal((len(lines), column), "not UTF-8 text; save the file as UTF-8")
