"""The state of a study: how far it is, and who runs it."""

from __future__ import annotations

import dataclasses
from typing import Literal

from gmsearch.ledger import Owner, Records, Study, owner_of
from gmsearch.plain import Assignment, canonical_json, plain
from gmsearch.records import MAX_ATTEMPTS, State, TrialRecord
from gmsearch.space import Space


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StudyState:
    """How far a study is."""

    state: Literal["planned", "running", "interrupted", "finished"]
    done: int
    """Trials that ended for good."""
    total: int | None
    """Trials there will be, as far as is known; None before the first candidate is proposed."""
    failed: int
    seconds: float
    """Spent on trials, all workers added."""
    owner: Owner | None = None
    """Who runs it; None if nobody does."""

    @property
    def count(self) -> str:
        """How many trials there are, of how many, such as `11 of 56 trials`."""
        of = "" if self.total in (None, self.done) else f" of {self.total}"
        return f"{self.done}{of} trial{'s' if self.done != 1 or of else ''}"

    @property
    def text(self) -> str:
        """The state in words, such as `11 of 56 trials, running since 22:06 (pid 7 on host)`."""
        running = f" {self.owner.text}" if self.owner is not None else ""
        return f"{self.count}, {self.state}{running}"


def study_state(study: Study, *, ended: bool | None = None, locked: bool = False) -> StudyState:
    """Return the state of a study from its records, and from who has its folder locked.

    Args:
        study: space and records, as they are now.
        ended: whether its last start said that nothing was left to do; None if that is unknown,
            as after a kill.
        locked: whether this process has the folder locked, and is about to leave it.
    """
    records, space = study.records, study.space
    done, total = _progress(space, records)
    owner = None if locked else owner_of(study.folder)
    state: Literal["planned", "running", "interrupted", "finished"] = "interrupted"
    if owner is not None:
        state = "running"
    elif ended or (ended is None and total is not None and done >= total > 0):
        state = "finished"
    elif not records.runs and not records.trials:
        state = "planned"
    trials = records.trials.values()
    return StudyState(
        state=state,
        done=done,
        total=done if state == "finished" else total,
        failed=sum(trial.state is State.FAILED for trial in trials),
        seconds=sum(trial.seconds for trial in (*trials, *records.tuning.values())),
        owner=owner,
    )


def _progress(space: Space, records: Records) -> tuple[int, int | None]:
    """Return how many trials ended for good, and how many there will be."""
    proposed = {
        _key(ask.params): ask.arm for ask in records.asks if not _forbidden(space, ask.params)
    }
    seeds = space.search.seeds
    ended = {
        (proposed.get(_key(trial.params), trial.arm), trial.seed)
        for trial in records.trials.values()
        if trial.seed in seeds and _given_up(trial) and not _forbidden(space, trial.params)
    }
    trained = {arm for arm, _ in ended}
    infeasible = {record.arm for record in records.infeasible} - trained
    arms = ({arm for arm in proposed.values() if arm} | trained) - infeasible
    hopeless = sum(t.chosen is None for t in records.tuned.values() if t.arm in arms)
    if not records.asks:
        return len(ended), None
    wanted = max(len(arms), space.search.candidates or 0) - hopeless
    return len(ended), wanted * len(seeds)


def _forbidden(space: Space, params: Assignment) -> bool:
    return bool(space.forbid) and space.forbidden(space.assignment(params))


def _key(params: Assignment) -> str:
    return canonical_json(plain(params))


def _given_up(trial: TrialRecord) -> bool:
    return trial.final or trial.attempt >= MAX_ATTEMPTS
