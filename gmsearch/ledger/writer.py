"""The driver's side of a study folder: one process at a time locks it and appends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import filelock

from gmsearch import __version__
from gmsearch.errors import StorageError, StudyError
from gmsearch.ledger.files import (
    CHECKPOINTS,
    HISTORY,
    LEDGER,
    SPOOL,
    WEIGHTS,
    check_name,
    given,
    json_line,
    sync_folder,
    write_all,
    write_atomic,
    writing,
)
from gmsearch.ledger.owner import LOCK, OWNER, read_owner
from gmsearch.ledger.parsing import damaged
from gmsearch.ledger.reader import SCHEMA, Records, read_spool, scan
from gmsearch.records import Record, StudyRecord, record_from_json

_log = logging.getLogger(__name__)


class Ledger:
    """A locked study folder and its records; the only appender. Closing it frees the lock.

    The kernel frees the lock of a process that dies in any way, so none is ever stale.
    """

    folder: Path
    records: Records
    """Records of the study; `append` and `take_spool` add to them."""

    def __init__(self, folder: Path, lock: filelock.BaseFileLock, records: Records) -> None:
        """Open the descriptor of the ledger; use `Ledger.open`, which checks and repairs."""
        self.folder = folder
        self.records = records
        self._path = folder / LEDGER
        self._lock = lock
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND)

    @classmethod
    def open(cls, folder: Path, study: str, space_digest: str) -> Ledger:
        """Lock the folder, create or read its ledger, and move the spool to it.

        A torn last line is dropped and logged. The caller decides whether `space_digest` may
        differ from that of the study record.

        Raises:
            StudyError: another process runs the study (which is named), the folder cannot be
                written, or the ledger is damaged or was written in another schema.
        """
        check_name(study)
        with given():
            return cls._opened(folder, study, space_digest)

    @classmethod
    def _opened(cls, folder: Path, study: str, space_digest: str) -> Ledger:
        path = folder / LEDGER
        with writing(folder):
            (folder / SPOOL).mkdir(parents=True, exist_ok=True)
        lock = _acquire(folder)
        try:
            _remove_leftovers(folder)
            if not path.exists():
                _require_new(folder)
                write_atomic(path, json_line(_study_record(study, space_digest).to_json()))
                sync_folder(folder.parent)
            records = Records(folder=folder)
            with writing(path):
                end = scan(path, records)
                if records.study is None:
                    _require_new(folder)
                ledger = cls(folder, lock, records)
        except BaseException:
            lock.release()
            raise
        try:
            ledger._mend(end)
            if records.study is None:
                ledger.append(_study_record(study, space_digest))
            ledger.take_spool()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def append(self, *records: Record) -> None:
        """Write one line each and wait until the storage has them; all of them or none.

        Raises:
            StudyError: a record could not be read back, or the storage refuses; the ledger is
                then as it was before.
            ValueError: a record contains a number that is not finite.
        """
        lines = [json_line(record.to_json()) for record in records]
        for line in lines:
            self.records.check(json.loads(line), "record to append")
        self._write(b"".join(lines))
        # Read back from the line, so that memory holds what a restart would find.
        for line in lines:
            self.records.add(json.loads(line), str(self._path))

    def take_spool(self) -> list[Record]:
        """Move the records that workers left to the ledger; return those that are new to it.

        A kill between appending and removing leaves a file whose record the next start recognises.
        """
        spooled = []
        for path, tree in read_spool(self.folder):
            try:
                if isinstance(tree, StudyError):
                    raise tree
                self.records.check(tree, str(path))
            except StudyError as error:
                self._set_aside(path, error)
            else:
                spooled.append((path, record_from_json(tree)))
        new = [record for _, record in spooled if not self.records.knows(record)]
        if new:
            self.append(*new)
        with writing(self.folder / SPOOL):
            for path, _ in spooled:
                path.unlink(missing_ok=True)
        return new

    def _set_aside(self, path: Path, error: StudyError) -> None:
        """Rename a damaged file of the spool, so that its trial is run again."""
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.damaged")
        with writing(path):
            path.rename(aside)
        _log.warning("%s; kept as %s, and its trial runs again", error, aside.name)

    def close(self) -> None:
        """Free the lock; a second call does nothing."""
        if self._lock.is_locked:
            os.close(self._file)
            with contextlib.suppress(OSError):  # read-only by now, perhaps
                (self.folder / OWNER).unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _mend(self, end: int) -> None:
        """Cut what follows the last whole line, and end that line where its newline is missing."""
        torn = os.fstat(self._file).st_size - end
        with writing(self._path):
            if torn:
                _log.warning("%s: dropped a torn last line of %d bytes", self._path, torn)
                os.ftruncate(self._file, end)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            self._write(b"\n")

    def _write(self, data: bytes) -> None:
        self._require_in_place()
        before = os.fstat(self._file).st_size
        with writing(self._path):
            try:
                write_all(self._file, data)
            except BaseException:
                os.ftruncate(self._file, before)
                raise

    def _require_in_place(self) -> None:
        """Raise StorageError if the open file is no longer the one at its path."""
        try:
            there = os.path.samestat(self._path.stat(), os.fstat(self._file))
        except OSError:
            there = False
        if not there:
            raise StorageError(
                f"{self._path}: was removed or replaced while the study ran; what finished since "
                "is lost: restore the folder, then run the study again"
            )


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left; only the owner of the lock may."""
    for part in (".", SPOOL, HISTORY, WEIGHTS, CHECKPOINTS):
        for path in (folder / part).glob(".*.tmp"):
            with contextlib.suppress(OSError):
                path.unlink()


def _require_new(folder: Path) -> None:
    """Raise StudyError if a folder without a ledger holds results of a study."""
    kept = [name for name in (HISTORY, WEIGHTS) if (folder / name).exists()]
    if kept:
        raise damaged(
            str(folder / LEDGER),
            f"it has no records, but the folder holds {' and '.join(kept)} of earlier runs",
        )


def _acquire(folder: Path) -> filelock.BaseFileLock:
    # Not thread-local: a driver may be closed by another thread than the one that opened it.
    lock = filelock.FileLock(folder / LOCK, thread_local=False)
    with writing(folder):
        try:
            # Who asks for the state of a study holds the lock for a moment.
            lock.acquire(timeout=0.3, poll_interval=0.02)
        except filelock.Timeout:
            raise StudyError(
                f"{folder}: is being run by {read_owner(folder).name}; wait for it, or stop it"
            ) from None
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
        write_atomic(folder / OWNER, json_line(owner))
    except BaseException:
        lock.release()
        raise
    return lock


def _study_record(study: str, space_digest: str) -> StudyRecord:
    return StudyRecord(
        schema=SCHEMA,
        study=study,
        space=space_digest,
        gmsearch=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
