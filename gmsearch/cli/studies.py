"""Finds the folder of a study by its name."""

from __future__ import annotations

from pathlib import Path

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
