"""What is known of a running study: trials at work, the time they take, numbers of arms."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from gmsearch.experiment import Plan, Progress, TimingPlan, TrainingPlan
from gmsearch.ledger import ArmNumbers, Records
from gmsearch.metrics import HOLDOUT
from gmsearch.plain import Assignment
from gmsearch.records import State, TrialRecord, WorkRecord
from gmsearch.space import Space


@dataclasses.dataclass(slots=True)
class Work:
    """A plan that a worker has."""

    plan: Plan
    start: float
    epochs: int
    epoch: int = 0
    first: float = 0.0
    """When the first epoch known ended, after which a network has been built; see `begun`."""
    begun: int = 0
    """Number of that epoch."""
    last: float = 0.0
    """When the last epoch ended."""
    values: dict[str, float] = dataclasses.field(default_factory=dict)
    """Objectives as last measured; they need not be measured after every epoch."""

    def advance(self, progress: Progress, now: float) -> None:
        """Take in an epoch."""
        if not self.begun:
            self.first, self.begun = now, progress.epoch
        self.epoch, self.epochs, self.last = progress.epoch, progress.epochs, now

    @property
    def each(self) -> float | None:
        """Seconds of an epoch, without those before the first; None until two have ended."""
        more = self.epoch - self.begun
        return (self.last - self.first) / more if more else None

    def left(self, now: float) -> float | None:
        """Return the seconds until its last epoch ends; None until two have ended.

        The first may have waited for its worker to start.
        """
        if self.each is None:
            return None
        return max(0.0, self.each * (self.epochs - self.epoch) - (now - self.last))


class RunState:
    """The state of a running study, from its ledger and the events of this start."""

    def __init__(self, space: Space) -> None:
        """Begin with nothing known."""
        self.space = space
        self.workers = 1
        self.start = time.monotonic()
        self.total = self.done = 0
        self.planned = False
        """Whether the number of trials is known."""
        self.running: dict[str, Work] = {}
        self.timings = self.timing = 0
        """How many timings of a batch there are, and which one of them is being made."""
        self.records: Records | None = None
        self._numbers: ArmNumbers | None = None
        self._seconds: list[float] = []

    def opened(self, records: Records) -> None:
        """Take in what earlier starts recorded."""
        self.records = records
        self._numbers = ArmNumbers(records)
        self._seconds = [
            trial.seconds
            for trials in (records.trials, records.tuning)
            for trial in trials.values()
            if _counts(trial)
        ]

    def set_plan(self, total: int, done: int, timings: int) -> None:
        """Take in how many trials there are to be."""
        self.total, self.done, self.planned = total, done, True
        self.timings, self.timing = timings, 0

    def begin(self, plan: Plan) -> None:
        """Take in that a worker has a plan."""
        self.timing += isinstance(plan, TimingPlan)
        epochs = plan.arm.recipe.total_epochs if isinstance(plan, TrainingPlan) else 0
        self.running[plan.key] = Work(plan, time.monotonic(), epochs)

    def advance(self, progress: Progress) -> None:
        """Take in an epoch of a trial."""
        work = self.running.get(progress.key)
        if work is not None:
            work.advance(progress, time.monotonic())
            work.values |= self._objectives(progress.metrics)

    def end(self, plan: Plan, record: WorkRecord) -> None:
        """Take in how a plan ended."""
        self.running.pop(plan.key, None)
        if isinstance(plan, TrainingPlan):
            # What is retried is counted when it ends for good.
            self.done = min(self.total, self.done + record.final)
            if isinstance(record, TrialRecord) and _counts(record):
                self._seconds.append(record.seconds)

    def number(self, params: Assignment) -> str:
        """Return the number of an arm, such as `#12`, as wide as the widest."""
        if self._numbers is None:
            return ""
        number = self._numbers.of(params)
        text = "" if number is None else f"#{number}"
        return text.rjust(len(f"#{len(self._numbers)}"))

    @property
    def left(self) -> float | None:
        """Seconds until the study ends, from all trials so far; None while none has trained."""
        now = time.monotonic()
        works = [w for w in list(self.running.values()) if isinstance(w.plan, TrainingPlan)]
        begun = [(w, left) for w in works if (left := w.left(now)) is not None]
        whole = self._seconds or [w.each * w.epochs for w in works if w.each is not None]
        if not whole:
            return None
        mean = sum(whole) / len(whole)
        running = sum(left for _, left in begun)
        running += sum(max(0.0, mean - (now - w.start)) for w in works if w.each is None)
        waiting = mean * max(0, self.total - self.done - len(works))
        return (running + waiting) / self.workers

    def _objectives(self, metrics: Mapping[str, float | None]) -> dict[str, float]:
        """Return the objectives among the metrics of an epoch, by their declared names."""
        found = {}
        for goal in self.space.objectives:
            held = metrics.get(f"{HOLDOUT}{goal.metric}")
            value = metrics.get(goal.metric) if held is None else held
            if value is not None:
                found[goal.metric] = value
        return found


def _counts(trial: TrialRecord) -> bool:
    """Return whether the seconds of a trial are those of a whole one."""
    return trial.state is State.COMPLETE and trial.seconds > 0
