"""Reading study folders: the ledger as a stream, then the spool; takes no lock."""

from __future__ import annotations

import codecs
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gmsearch.bounded import decoded
from gmsearch.errors import InputError, StudyError
from gmsearch.experiment import Bands
from gmsearch.ledger.files import LEDGER, SPACE, SPOOL
from gmsearch.ledger.parsing import damaged, lines, parse, read_bounded
from gmsearch.metrics import HOLDOUT
from gmsearch.records import (
    AskRecord,
    InfeasibleRecord,
    MeasureRecord,
    Record,
    RunRecord,
    StudyRecord,
    TimingRecord,
    TrialRecord,
    TunedRecord,
    TuningRecord,
    WorkRecord,
    record_from_json,
    shared,
)

SCHEMA = 1
"""Version of the form of the lines; raised when an older reader would misread a newer ledger."""

STUDIES = Path("studies")
"""Folder of all studies, relative to the current one."""

_log = logging.getLogger(__name__)

Identity = tuple[str, str, str, int, bool]


@dataclasses.dataclass(kw_only=True, slots=True)
class Records:
    """Records of a study, in the order of its ledger."""

    folder: Path
    study: StudyRecord | None = None
    """None only before the first line was read."""
    runs: list[RunRecord] = dataclasses.field(default_factory=list)
    asks: list[AskRecord] = dataclasses.field(default_factory=list)
    infeasible: list[InfeasibleRecord] = dataclasses.field(default_factory=list)
    timings: list[TimingRecord] = dataclasses.field(default_factory=list)
    trials: dict[str, TrialRecord] = dataclasses.field(default_factory=dict)
    """By key. The last attempt counts, except that a final record is never replaced by one that
    would be retried: a worker presumed lost may finish after its successor failed."""

    tuning: dict[str, TrialRecord] = dataclasses.field(default_factory=dict)
    """Runs that helped to choose training values, likewise; none of their numbers is reported."""

    tuned: dict[str, TunedRecord] = dataclasses.field(default_factory=dict)
    """Training values chosen: by the digest of the arm before tuning, or `study` for all arms."""

    measures: dict[str, list[MeasureRecord]] = dataclasses.field(default_factory=dict)
    """Re-evaluations of finished trials, by the key of the trial."""

    _known: set[Identity] = dataclasses.field(default_factory=set)
    _pool: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def space_path(self) -> Path:
        """Path of the frozen copy of the space file."""
        return self.folder / SPACE

    def add(self, tree: Mapping[str, Any], place: str) -> None:
        """Add the record of one line; a repeated one counts once, an unknown kind is ignored.

        Raises:
            StudyError: naming `place`, if the record lacks what its kind must have, or if the
                study was written in another schema.
        """
        try:
            _check_schema(tree)
            self._add(record_from_json(shared(tree, self._pool)))
        except StudyError as error:
            raise StudyError(f"{place}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(place, f"not a {tree.get('record')} record: {error!r}") from error

    def check(self, tree: Mapping[str, Any], place: str) -> None:
        """Raise the errors of `add` without adding anything."""
        Records(folder=self.folder, study=self.study).add(tree, place)

    def knows(self, record: Record) -> bool:
        """Whether this very record, with this attempt and ending, was added before."""
        return isinstance(record, WorkRecord) and _attempt_identity(record) in self._known

    def metrics(self, trial: TrialRecord, bands: Bands) -> Mapping[str, float]:
        """Return all metrics of a trial, including those measured later.

        A metric measured with other options than those of `bands` has a name that states them,
        see `Bands.name_of`. A trial without a protocol has that of `bands`.
        """
        usual = bands.protocol
        later = self.measures.get(trial.key, ())
        if not later and trial.protocol in ({}, usual):
            return trial.metrics
        parts = [("", trial.protocol or usual, trial.metrics)]
        parts += [
            (HOLDOUT if record.split == "holdout" else "", record.protocol, record.metrics or {})
            for record in later
        ]
        return {
            bands.name_of(prefix + name, protocol): value
            for prefix, protocol, metrics in parts
            for name, value in metrics.items()
        }

    def last_measure(self, key: str, request: str) -> MeasureRecord | None:
        """Return the last attempt at re-evaluating a trial."""
        attempts = [record for record in self.measures.get(key, ()) if record.request == request]
        return attempts[-1] if attempts else None

    def _add(self, record: Record) -> None:
        if isinstance(record, StudyRecord):
            self.study = record
        elif self.study is None:
            raise ValueError("a ledger begins with its study record")
        elif not self.knows(record):
            keep = _KEEPERS.get(type(record))
            if keep is not None:
                keep(self, record)
            if isinstance(record, WorkRecord):
                self._known.add(_attempt_identity(record))


def _add_trial(trials: dict[str, TrialRecord], record: TrialRecord) -> None:
    earlier = trials.get(record.key)
    if earlier is None or _attempt_rank(record) > _attempt_rank(earlier):
        trials[record.key] = record


_KEEPERS: Mapping[type[Record], Callable[[Records, Any], object]] = {
    RunRecord: lambda records, run: records.runs.append(run),
    AskRecord: lambda records, ask: records.asks.append(ask),
    InfeasibleRecord: lambda records, infeasible: records.infeasible.append(infeasible),
    TimingRecord: lambda records, timing: records.timings.append(timing),
    TunedRecord: lambda records, tuned: records.tuned.setdefault(tuned.arm, tuned),
    MeasureRecord: lambda records, measure: records.measures.setdefault(measure.key, []).append(
        measure
    ),
    TrialRecord: lambda records, trial: _add_trial(records.trials, trial),
    TuningRecord: lambda records, tuning: _add_trial(records.tuning, tuning),
}
"""Function that keeps the records of each kind."""


def _attempt_identity(record: WorkRecord) -> Identity:
    return record.kind, record.key, record.request, int(record.attempt), not record.final


def _attempt_rank(record: TrialRecord) -> tuple[bool, int]:
    return record.final, record.attempt


def _check_schema(tree: Mapping[str, Any]) -> None:
    if tree["record"] == StudyRecord.kind and tree["schema"] != SCHEMA:
        raise StudyError(
            f"written in schema {tree['schema']!r} by gmsearch {tree.get('gmsearch')}, but this "
            f"release reads schema {SCHEMA}; use that release, or rename the study in the space "
            "file"
        )


def scan(path: Path, records: Records) -> int:
    """Add the whole lines of a ledger to `records`; return how many bytes they are.

    A last line that is not terminated was torn by a kill, or is being written right now: it is
    only added if it is complete JSON.

    Raises:
        StudyError: any other line cannot be read; names file and line.
    """
    end = 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for number, line in enumerate(lines(file, path), 1):
            if end + len(line) > size or not (line.endswith(b"\n") or _complete(line)):
                break
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if text.strip():  # an editor may leave empty lines
                place = f"{path}:{number}"
                records.add(parse(text, place), place)
            end += len(line)
    return end


def _complete(line: bytes) -> bool:
    try:
        decoded(line)
    except ValueError:
        return False
    return True


def read_spool(folder: Path) -> Iterator[tuple[Path, dict[str, Any] | StudyError]]:
    """Yield the lines that workers left, by file name, or what is wrong with a file.

    A file that vanished meanwhile is in the ledger.
    """
    for path in sorted((folder / SPOOL).glob("[!.]*.json")):
        try:
            yield path, parse(read_bounded(path), str(path))
        except FileNotFoundError:
            continue
        except StudyError as error:
            yield path, error


def read_records(folder: Path) -> Records:
    """Return the records of the study in `folder`, the spool included, without locking it.

    Raises:
        StudyError: there is no ledger, or it is damaged or was written in another schema.
    """
    records = Records(folder=folder)
    # Before the ledger: what the driver moves there meanwhile is then read from it.
    spooled = list(read_spool(folder))
    try:
        scan(folder / LEDGER, records)
    except OSError as error:
        raise StudyError(
            f"{folder}: no study can be read: {error.strerror}; `gmsearch list` lists the studies"
        ) from error
    if records.study is None:
        raise damaged(str(folder / LEDGER), "it has no study record")
    for path, tree in spooled:
        try:
            if isinstance(tree, StudyError):
                raise tree
            records.add(tree, str(path))
        except StudyError as error:
            _log.warning("%s; ignored", error)
    return records


def ledger_stamp(folder: Path) -> list[int] | None:
    """Return what changes with every record of a study; None where there is no ledger.

    Size and time of the ledger, and the number of records that wait in the spool.
    """
    try:
        there = (folder / LEDGER).stat()
    except OSError:
        return None
    waiting = sum(1 for _ in (folder / SPOOL).glob("[!.]*.json"))
    return [there.st_size, there.st_mtime_ns, waiting]


def studies(root: Path = STUDIES) -> list[Path]:
    """Return the folders below `root` that hold a ledger, by name."""
    return sorted(path.parent for path in root.glob(f"*/{LEDGER}"))


def newest(root: Path = STUDIES) -> Path:
    """Return the study run last: the one whose ledger was modified last.

    Raises:
        InputError: there is none.
    """
    folders = studies(root)
    if not folders:
        raise InputError(
            f"{root}: contains no study; run one with `gmsearch run SPACE.yaml`, "
            "or change to the folder where it was run"
        )
    return max(folders, key=lambda folder: ((folder / LEDGER).stat().st_mtime_ns, folder.name))
