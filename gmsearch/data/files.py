"""Files of image sets by name: those that systems hide, links to nowhere, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from gmsearch.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

_OF_SYSTEMS = {"__MACOSX", "Thumbs.db", "desktop.ini"}


def hidden(name: str) -> bool:
    """Return whether a system or a program made a file or folder for itself."""
    return name.startswith(".") or name in _OF_SYSTEMS


def is_image(name: str) -> bool:
    """Return whether a file is an image by its name."""
    return not hidden(name) and name.lower().endswith(SUFFIXES)


def may_be_image(name: str) -> bool:
    """Return whether a name that leads nowhere may have been an image's or a folder's."""
    return is_image(name) or (not hidden(name) and not PurePath(name).suffix)


def exists(path: Path) -> bool:
    """Return whether a path exists; raises DataError for a link to nowhere."""
    if path.is_symlink():
        require_targets([path] if not path.exists() else [])
    return path.exists()


def require_targets(links: Iterable[Path]) -> None:
    """Raise DataError for links to files or folders that do not exist here; names the first."""
    if not (dangling := sorted(links)):
        return
    raise DataError(
        f"{dangling[0]} is a link to {dangling[0].readlink()}, which does not exist here "
        f"(dangling links: {len(dangling)}); mount or copy what they point to, or remove them"
    )


def below(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Yield the entries in and below a folder that are not hidden; links are followed.

    Raises:
        DataError: a folder cannot be read.
    """
    waiting, seen = [str(folder)], set()
    while waiting:
        path = waiting.pop()
        try:
            place = Path(path).stat()
            if (place.st_dev, place.st_ino) in seen:  # a link to a folder above itself
                continue
            seen.add((place.st_dev, place.st_ino))
            with os.scandir(path) as entries:
                visible = [entry for entry in entries if not hidden(entry.name)]
        except OSError as error:
            raise DataError(
                f"{path} cannot be read ({error.strerror}); check its permissions"
            ) from error
        for entry in visible:
            yield entry
            if entry.is_dir():
                waiting.append(entry.path)


def dangling(entries: Iterable[os.DirEntry[str]]) -> list[Path]:
    """Return the links among some entries that lead nowhere."""
    return [Path(e.path) for e in entries if e.is_symlink() and not Path(e.path).exists()]


def reason(name: str) -> str:
    """Return why a file is no image: its ending."""
    suffix = PurePath(name).suffix.lower()
    return f"ending in {suffix}" if suffix else "without an ending"
