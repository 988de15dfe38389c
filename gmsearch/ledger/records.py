"""Reading study folders: the ledger as a stream, the spool beside it; takes no lock."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmsearch.errors import InputError, StudyError
from gmsearch.experiment import Bands
from gmsearch.ledger.files import LEDGER, SPACE, SPOOL, damaged, parse
from gmsearch.metrics import HOLDOUT
from gmsearch.records import Failure, TrialRecord, record_from

SCHEMA = 1
"""Of the lines of the ledger; raised when a reader of the old form would misread the new one."""

Identity = tuple[str, str, int, bool]


@dataclasses.dataclass(kw_only=True, slots=True)
class Records:
    """What a study holds, in the order of its ledger."""

    folder: Path
    study: dict[str, Any] = dataclasses.field(default_factory=dict)
    runs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    asks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    infeasible: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    timings: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    trials: dict[str, TrialRecord] = dataclasses.field(default_factory=dict)
    """By key. The last attempt counts, except that nothing replaces a final record by one that
    would be tried again: a worker given up for lost may finish after its successor failed."""

    tuning: dict[str, TrialRecord] = dataclasses.field(default_factory=dict)
    """The runs that chose training values, likewise; no number shown comes from one."""

    tuned: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """What they chose: by the digest of the arm as it was before, or `study` for all arms."""

    measures: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    """What was measured of finished trials later, by the key of the trial."""

    _known: set[Identity] = dataclasses.field(default_factory=set)
    _shared: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def space_path(self) -> Path:
        """Where the frozen copy of the space file lies."""
        return self.folder / SPACE

    def add(self, tree: dict[str, Any], place: str) -> None:
        """Take in one record; a repeated one counts once, an unknown kind is passed over.

        Raises:
            StudyError: naming `place`, where the record lacks what its kind must have, or where
                the study was written in another schema.
        """
        try:
            self._add(tree)
        except StudyError as error:
            raise StudyError(f"{place}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(place, f"not a {tree.get('record')} record: {error!r}") from error

    def check(self, tree: dict[str, Any], place: str) -> None:
        """Raise what `add` would, and keep nothing."""
        Records(folder=self.folder, study=self.study).add(dict(tree), place)

    def knows(self, tree: Mapping[str, Any]) -> bool:
        """Whether this very record, with this attempt and ending, was taken in before."""
        return _identity(tree) in self._known

    def metrics(self, trial: TrialRecord, bands: Bands) -> Mapping[str, float]:
        """Return all that was measured of a trial, at its end and later.

        What was measured otherwise than `bands` say stands under a name that says how, see
        `Bands.name_of`. A trial that does not tell its protocol has that of `bands`.
        """
        usual = bands.protocol
        later = self.measures.get(trial.key, ())
        if not later and trial.protocol in ({}, usual):
            return trial.metrics
        found: dict[str, float] = {}
        own = {"protocol": trial.protocol or usual, "metrics": trial.metrics}
        for part in (own, *later):
            prefix = HOLDOUT if part.get("split") == "holdout" else ""
            for name, value in part.get("metrics", {}).items():
                found[bands.name_of(prefix + name, part["protocol"])] = value
        return found

    def last_measure(self, key: str, request: str) -> dict[str, Any] | None:
        """Return the last attempt at a measure of a trial."""
        found = [one for one in self.measures.get(key, ()) if one["request"] == request]
        return found[-1] if found else None

    def _add(self, tree: dict[str, Any]) -> None:
        kind = tree["record"]
        if kind == "study":
            _check_schema(tree)
            self.study = tree
        elif not self.study:
            raise ValueError("a ledger begins with its study record")
        elif kind in ("run", "ask", "infeasible"):
            {"run": self.runs, "ask": self.asks, "infeasible": self.infeasible}[kind].append(tree)
        elif kind == "tuned":
            self.tuned.setdefault(tree["arm"], tree)
        elif kind in ("trial", "tuning", "timing", "measure") and not self.knows(tree):
            if kind == "timing":
                self.timings.append(tree)
            elif kind == "measure":
                self.measures.setdefault(tree["key"], []).append(tree)
            else:
                self._add_trial(tree, self.tuning if kind == "tuning" else self.trials)
            self._known.add(_identity(tree))

    def _add_trial(self, tree: dict[str, Any], trials: dict[str, TrialRecord]) -> None:
        # The seeds of an arm share its candidate and recipe, and all trials their metrics' names:
        # a large ledger is held at a fraction of its size.
        tree["candidate"] = self._shared.setdefault("c" + tree["digest"], tree["candidate"])
        tree["recipe"] = self._shared.setdefault("a" + tree["arm"], tree["recipe"])
        protocol, training = tree.get("protocol", {}), tree.get("training", {})
        tree["protocol"] = self._shared.setdefault(f"p{sorted(protocol.items())}", protocol)
        tree["training"] = training or self._shared.setdefault("", training)
        for field in ("metrics", "params"):
            tree[field] = {sys.intern(name): value for name, value in tree[field].items()}
        record = record_from(tree)
        earlier = trials.get(record.key)
        if earlier is None or _rank(record) > _rank(earlier):
            trials[record.key] = record


def _identity(tree: Mapping[str, Any]) -> Identity:
    failure = tree.get("failure")
    retried = failure is not None and Failure(failure).retried
    key = tree["key"] + tree.get("request", "")
    return tree["record"], key, int(tree.get("attempt", 1)), retried


def _rank(record: TrialRecord) -> tuple[bool, int]:
    return record.final, record.attempt


def _check_schema(tree: Mapping[str, Any]) -> None:
    if tree["schema"] != SCHEMA:
        raise StudyError(
            f"written in schema {tree['schema']!r} by gmsearch {tree.get('gmsearch')}, this one "
            f"reads schema {SCHEMA}; use that version, or rename the study in the space file"
        )


def scan(path: Path, records: Records) -> int:
    """Take in the whole lines of a ledger; return how many bytes they are.

    A last line that is not terminated was torn by a kill, or is being written right now: it is
    taken only if it is complete JSON.

    Raises:
        StudyError: for any other line that cannot be read, naming file and line.
    """
    end = 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for number, line in enumerate(file, 1):
            if end + len(line) > size or not (line.endswith(b"\n") or _complete(line)):
                break
            place = f"{path}:{number}"
            records.add(parse(line, place), place)
            end += len(line)
    return end


def _complete(line: bytes) -> bool:
    try:
        json.loads(line.decode())
    except ValueError:
        return False
    return True


def read_spool(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the records that workers left, by file name; one that vanishes is in the ledger."""
    found = []
    for path in sorted((folder / SPOOL).glob("[!.]*.json")):
        try:
            found.append((path, parse(path.read_bytes(), str(path))))
        except FileNotFoundError:
            continue
    return found


def read(folder: Path) -> Records:
    """Return what the study in `folder` holds now, the spool included, without locking it.

    Raises:
        StudyError: where there is no ledger, or where it is damaged or of another schema.
    """
    records = Records(folder=folder)
    # Before the ledger: what the driver takes in meanwhile is then seen there.
    spooled = read_spool(folder)
    try:
        scan(folder / LEDGER, records)
    except OSError as error:
        raise StudyError(
            f"{folder}: no study can be read: {error.strerror}; `gmsearch list` shows those there"
        ) from error
    if not records.study:
        raise damaged(str(folder / LEDGER), "it has no study record")
    for path, tree in spooled:
        records.add(tree, str(path))
    return records


def studies(root: Path = Path("studies")) -> list[Path]:
    """Return the folders below `root` that hold a ledger, by name."""
    return sorted(path.parent for path in root.glob(f"*/{LEDGER}"))


def newest(root: Path = Path("studies")) -> Path:
    """Return the study run last: the one whose ledger was modified last.

    Raises:
        InputError: where there is none.
    """
    folders = studies(root)
    if not folders:
        raise InputError(
            f"{root}: holds no study; run one with `gmsearch run SPACE.yaml`, "
            "or change to the folder where it was run"
        )
    return max(folders, key=lambda folder: ((folder / LEDGER).stat().st_mtime_ns, folder.name))
