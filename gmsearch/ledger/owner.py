"""Who runs a study: read by others than its driver, who take no lock."""

from __future__ import annotations

import dataclasses
import os
from datetime import datetime
from pathlib import Path

from gmsearch.errors import StudyError
from gmsearch.ledger.parsing import parse, read_bounded

LOCK = "lock"
OWNER = "owner.json"
"""Files of a study folder: the lock of the process that runs the study, and its name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """The process that runs a study, as far as it is known."""

    pid: int | None = None
    host: str = ""
    since: datetime | None = None

    @property
    def name(self) -> str:
        """Process and host, such as `process 123 on host`."""
        return "another process" if self.pid is None else f"process {self.pid} on {self.host}"

    @property
    def text(self) -> str:
        """Since when and by whom, such as `since 22:06 (process 123 on host)`."""
        if self.since is None:
            return f"({self.name})"
        begun = self.since.astimezone()
        today = begun.date() == datetime.now().astimezone().date()
        return f"since {begun:{'%H:%M' if today else '%d %b %H:%M'}} ({self.name})"


def owner_of(folder: Path) -> Owner | None:
    """Return who runs the study in a folder; None where nobody holds its lock.

    The kernel frees the lock of a process that dies in any way: what is left of a killed one is
    not taken for one that runs.
    """
    try:
        import fcntl

        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return read_owner(folder)
    finally:
        os.close(descriptor)
    return None


def read_owner(folder: Path) -> Owner:
    """Return what the file of the owner says; it may say anything."""
    try:
        tree = parse(read_bounded(folder / OWNER), OWNER)
        owner = Owner(int(tree["pid"]), str(tree["host"]))
    except (OSError, StudyError, LookupError, TypeError, ValueError):
        return Owner()
    try:
        return dataclasses.replace(owner, since=datetime.fromisoformat(tree["since"]))
    except (LookupError, TypeError, ValueError):
        return owner  # of release 0.1, which did not say
