"""Finds the folder of a study by its name; says which plugins are executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gmsearch.cli.streams import say
from gmsearch.errors import InputError
from gmsearch.ledger import STUDIES, check_name, newest, studies


def study_folder(study: str) -> Path:
    """Return the folder of a study.

    Raises:
        InputError: there is no such study; the message lists the studies.
    """
    folders = {folder.name: folder for folder in studies(STUDIES)}
    if study not in folders:  # a copy made by hand may have a name that no new study may
        check_name(study)
        known = ", ".join(folders) or "none"
        raise InputError(f"no study {study!r} in {STUDIES}; there are: {known}")
    return folders[study]


def last_study() -> Path:
    """Return the folder of the study run last; InputError if there is none."""
    return newest(STUDIES)


def announces(where: object) -> Callable[[str, Mapping[str, Path]], None]:
    """Return what says on stderr that plugins are about to be executed, for `load_space`.

    Args:
        where: the space file or study that names them.
    """

    def announce(_study: str, files: Mapping[str, Path]) -> None:
        if files:
            what = "the modules it imports" if len(files) == 1 else "the modules they import"
            named = ", ".join(map(str, files.values()))
            say(f"{where}: executes {named} and {what}")

    return announce
