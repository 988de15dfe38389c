"""What a start of a study is told of the starts before it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gmsearch.errors import StudyError
from gmsearch.ledger import STUDIES
from gmsearch.ledger.files import SPACE
from gmsearch.records import RunRecord
from gmsearch.space import Space
from gmsearch.spacefile import load_space


def require_own_folder(space: Space, root: Path = STUDIES) -> None:
    """Raise StudyError if the folder of a study is a copy of another study's.

    A folder is found by the name of its study, so in a copy the two differ.
    """
    frozen = root / space.study / SPACE
    if not frozen.exists():
        return
    copied = load_space(frozen, data_root=frozen.parent).study
    if copied != space.study:
        raise StudyError(
            f"{frozen.parent} is a copy of study {copied!r}; to go on in it, write `study: "
            f"{space.study}` in {frozen} too; to begin anew, rename `study` in the space file"
        )


def mixing_remarks(earlier: Iterable[RunRecord], start: RunRecord) -> list[str]:
    """Return a line each for packages and for threads that earlier starts had otherwise."""
    runs = list(earlier)
    now = start.packages
    changed = [
        f"{name} {', '.join(sorted(versions))} (now {version})"
        for name, version in now.items()
        if (versions := {run.packages.get(name, version) for run in runs} - {version})
    ]
    remarks = []
    if changed:
        remarks.append(
            f"earlier trials were made with {'; '.join(changed)}; numbers of one table may differ "
            "for that alone: install the earlier versions, or rename `study`"
        )
    threads = {run.threads for run in runs if run.threads is not None} - {start.threads}
    if threads:
        remarks.append(
            f"earlier trials were made with resources.cpus {', '.join(map(str, sorted(threads)))} "
            f"(now {start.threads}); threads change the rounding: set it back, or rename `study`"
        )
    return remarks
