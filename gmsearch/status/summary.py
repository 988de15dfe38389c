"""A study in a few words, kept beside its ledger so that a list of studies reads no ledger twice.

`summary.json` is derived: it may be deleted at any time, and is not read where the ledger is not
the one that it was made from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmsearch.bounded import LARGEST, decoded
from gmsearch.errors import StorageError
from gmsearch.ledger import ArmNumbers, Study, ledger_stamp, owner_of, read_study, write_atomic
from gmsearch.status.state import StudyState, study_state

_FILE = "summary.json"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What `gmsearch list` shows of a study."""

    study: str
    about: str
    method: str
    state: StudyState
    states: Mapping[str, int]
    """Number of trials by the state they ended in."""
    started: str
    """Start of the last run, in UTC, ISO 8601; empty if there was none."""
    best: Mapping[str, Any] | None
    """Metric, value, number of seeds, number and label of the best arm; None if none can be
    named."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data, the owner left out: it is never kept."""
        state = {f.name: getattr(self.state, f.name) for f in dataclasses.fields(StudyState)}
        del state["owner"]
        return {
            "study": self.study,
            "about": self.about,
            "method": self.method,
            "state": state,
            "states": dict(self.states),
            "started": self.started,
            "best": None if self.best is None else dict(self.best),
        }


def summary_of(folder: Path) -> Summary:
    """Return the summary of the study in a folder: the one kept there, or a new one.

    A new one of a study that nobody runs is kept, if the folder can be written.

    Raises:
        StudyError: the ledger is damaged, or there is none.
        InputError: the frozen space file cannot be read.
    """
    stamp, owner = ledger_stamp(folder), owner_of(folder)
    if owner is None and stamp is not None:
        kept = _kept(folder, stamp)
        if kept is not None:
            return kept
    made = _summarise(read_study(folder))
    if made.state.owner is None and stamp is not None:
        _keep(folder, stamp, made)
    return made


def state_of(study: Study) -> StudyState:
    """Return the state of a study whose records were read; what its last run said counts."""
    stamp = ledger_stamp(study.folder)
    kept = _kept(study.folder, stamp) if stamp is not None else None
    state = study_state(study)
    return state if kept is None or state.owner is not None else kept.state


def keep_summary(study: Study, *, ended: bool) -> None:
    """Keep the summary of a study at the end of a run, by the process that has it locked.

    Args:
        study: its records at the end.
        ended: whether nothing was left to do.
    """
    stamp = ledger_stamp(study.folder)
    if stamp is not None:
        _keep(study.folder, stamp, _summarise(study, ended=ended, locked=True))


def _summarise(study: Study, *, ended: bool | None = None, locked: bool = False) -> Summary:
    # Deferred, since a list of studies seldom needs its numerics.
    from gmsearch.status.best import best_arm

    records, space = study.records, study.space
    best = best_arm(space, records)
    return Summary(
        study=study.folder.name,
        about=space.about,
        method=space.search.method,
        state=study_state(study, ended=ended, locked=locked),
        states=Counter(str(trial.state) for trial in records.trials.values()),
        started=records.runs[-1].started if records.runs else "",
        best=None
        if best is None
        else {
            "metric": best.metric,
            "value": best.value,
            "n": best.n,
            "arm": ArmNumbers(records).of(best.params),
            "label": space.label(space.assignment(best.params)),
        },
    )


def _keep(folder: Path, stamp: list[int], summary: Summary) -> None:
    tree = {"ledger": stamp, **summary.to_json()}
    with contextlib.suppress(StorageError):
        write_atomic(folder / _FILE, (json.dumps(tree, allow_nan=False) + "\n").encode())


def _kept(folder: Path, stamp: list[int]) -> Summary | None:
    try:
        with (folder / _FILE).open("rb") as file:
            tree = decoded(file.read(LARGEST))
        if tree.pop("ledger") != stamp or tree["study"] != folder.name:
            return None
        return Summary(**{**tree, "state": StudyState(**tree["state"])})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
