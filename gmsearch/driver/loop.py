"""The one loop of a study: ask, cost, timing, trials, tell, ledger.

The driver hands out plans and collects records; engines are pools that run the plans. What is
done next follows from the ledger alone, so a study resumed after any interruption takes the same
path as one that was never interrupted. Neither torch nor ray is needed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Iterable

from gmsearch.driver.observer import Observer
from gmsearch.driver.outcomes import ArmResults
from gmsearch.driver.preflight import RunContext
from gmsearch.driver.proposals import Proposals
from gmsearch.driver.queue import AskedArms, Queue
from gmsearch.driver.resumed import mixing_remarks
from gmsearch.driver.tuning import tuning_remarks
from gmsearch.experiment import Decision, Plan, Progress, TimingPlan, TrialPlan, TuningPlan
from gmsearch.ledger import Ledger, Records
from gmsearch.records import (
    Failure,
    Record,
    RunRecord,
    State,
    TimingRecord,
    TrialRecord,
    WorkRecord,
)
from gmsearch.search import Scheduler
from gmsearch.space import Space

_log = logging.getLogger(__name__)

_FRUITLESS_ASKS = 1000
_TRIALS_BEFORE_SHARE = 10


class Driver:
    """The state of a running study between the sampler, the ledger and a pool of workers."""

    def __init__(
        self,
        space: Space,
        ledger: Ledger,
        context: RunContext,
        observer: Observer,
        *,
        start: RunRecord,
        scheduler: Scheduler | None = None,
    ) -> None:
        """Resume the study from its ledger.

        Args:
            space: what to search.
            ledger: open, locked by this process.
            context: properties of the data and the device.
            observer: receives every step.
            start: record of this run, written before the first plan is handed out: a run that
                has nothing to do leaves no trace.
            scheduler: decides which running trials stop early; none do without one.
        """
        self.space = space
        self.stopped: str | None = None
        """Why the study stopped early, if it did."""
        self.remark: str | None = None
        """A note on a study that ended otherwise than requested."""
        self.scheduler = scheduler
        self._ledger = ledger
        observer.opened(ledger.records)
        self._results = ArmResults(space, context, ledger.records)
        self._observer = observer
        self._run = start.run
        self._queue = Queue(
            self._results, ledger.folder, self._run, scheduled=scheduler is not None
        )
        self._start: RunRecord | None = start
        self._proposals = Proposals(space, ledger, self._results, self._run)
        self._pending: deque[Plan] = deque()
        self._running: dict[str, Plan] = {}
        self._exhausted = False

    @property
    def mixing(self) -> list[str]:
        """A line for everything that earlier runs of the study had otherwise than this one."""
        return mixing_remarks(self._ledger.records.runs, self._start) if self._start else []

    @property
    def records(self) -> Records:
        """Records of the study so far, of this run and all before."""
        return self._ledger.records

    @property
    def trials(self) -> list[TrialRecord]:
        """Trials of the study so far, of this run and all before."""
        return list(self._ledger.records.trials.values())

    @property
    def counts(self) -> tuple[int, int]:
        """Known number of trials and tuning runs, and how many of them are finished."""
        return self._count(self._proposals.trainable())

    @property
    def untrained(self) -> int:
        """Number of arms without training values, because no value could be trained."""
        return sum(tuned.chosen is None for tuned in self._ledger.records.tuned.values())

    @property
    def unmeasured(self) -> int:
        """Number of finished trials that lack bands of the space and cannot be measured."""
        return len(self._queue.lost)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to hand out and nothing is running."""
        return self._exhausted and not self._running and not self._pending

    def next(self) -> Plan | None:
        """Return the next plan; None at the end, or while other plans must end first.

        A timing runs alone: it is handed out once nothing is running, and nothing else meanwhile.
        """
        if not self._pending and not self._running:
            self.advance()
        if not self._pending or any(isinstance(p, TimingPlan) for p in self._running.values()):
            return None
        if isinstance(self._pending[0], TimingPlan) and self._running:
            return None
        if self._start is not None:
            self._ledger.append(self._start)
            self._start = None
        plan = self._pending.popleft()
        self._running[plan.key] = plan
        self._observer.started(plan)
        return plan

    def progress(self, progress: Progress) -> Decision:
        """Report the progress of a trial; return whether it continues after this epoch."""
        self._observer.progress(progress)
        if self.scheduler is None or not isinstance(self._running.get(progress.key), TrialPlan):
            return "continue"
        return self.scheduler.decide(progress)

    def finish(self, plan: Plan, *, hung: bool = False) -> None:
        """Collect the record that the worker left in the spool; without one, it was lost.

        `hung` tells that the worker was ended because it did nothing any more.
        """
        new = self._ledger.take_spool()
        record = self._recorded(plan)
        if record is None:
            failure = Failure.HANG if hung else Failure.INFRASTRUCTURE
            reason = "the worker did nothing any more" if hung else self._why_missing(plan, new)
            record = plan.failed(failure, reason)
            self._ledger.append(record)
        del self._running[plan.key]
        self._observer.finished(plan, record)
        self._stop_if_too_many_failed()

    def _recorded(self, plan: Plan) -> WorkRecord | None:
        """Return the record of this attempt; another plan's end may have collected it before."""
        records = self._ledger.records
        record: WorkRecord | None
        if isinstance(plan, TimingPlan):
            # Its key may be that of another device than planned for, if that is the first one.
            keys = (plan.key, self._results.timing_key(plan.arm))
            attempts = [self._results.last_timing(key, plan.request) for key in keys]
            record = next((one for one in attempts if one and one.attempt >= plan.attempt), None)
        elif isinstance(plan, TrialPlan):
            record = records.trials.get(plan.key)
        elif isinstance(plan, TuningPlan):
            record = records.tuning.get(plan.key)
        else:
            record = records.last_measure(plan.key, plan.request)
        return record if record is not None and record.attempt >= plan.attempt else None

    def _why_missing(self, plan: Plan, new: Iterable[Record]) -> str:
        """Return the reason for the missing record of a plan, for the record of its failure."""
        for record in new if isinstance(plan, TimingPlan) else ():
            candidate = plan.arm.candidate.digest
            if isinstance(record, TimingRecord) and record.digest == candidate:
                return (
                    f"timed on {record.device_name}, but the timings of this run are compared on "
                    f"{self._results.timing_device}"
                )
        return "the worker ended without a record: killed, out of memory, or its node was lost"

    def advance(self) -> None:
        """Fill the queue with missing work; if there is none, tell and ask the sampler."""
        if not self._exhausted:
            self._observer.doing("choosing candidates and comparing costs")
        while not self._exhausted:
            arms = self._proposals.trainable()
            if self._results.timed:
                timeable = self._proposals.trainable(timed=False)
                self._pending.extend(self._queue.timings(timeable))
            if not self._pending:
                self._name_doubtful()
                self._proposals.record_infeasible()
                self._pending.extend(self._queue.tunings(arms))
            if not self._pending:
                self._record_tuned(arms)
                self._pending.extend(self._queue.trials(arms))
                self._pending.extend(self._queue.remeasures(arms))
                self._name_lost()
            if not self._pending:
                self._proposals.tell()
                self._exhausted = not self._ask(len(arms))
            if self._pending or self._exhausted:
                timings = sum(isinstance(plan, TimingPlan) for plan in self._pending)
                self._observer.planned(*self._count(arms), timings)
                return

    def _count(self, arms: AskedArms) -> tuple[int, int]:
        total, done = self._queue.progress(arms)
        wanted = 0 if self._exhausted else self.space.search.candidates or 0
        if not self._exhausted and not self._proposals:  # only the baseline's timing is due
            wanted = wanted or self._proposals.listed
        tune, seeds = self.space.tune, len(self.space.search.seeds)
        chosen = tune is not None and (tune.per == "arm" or not self._ledger.records.tuned)
        each = seeds + (len(tune.grid()) if tune is not None and chosen else 0)
        return total + max(0, wanted - len(arms)) * each, done

    def _record_tuned(self, arms: AskedArms) -> None:
        """Record the training values chosen, and warn of those at the edge of their range."""
        for record in self._results.tuning.decisions(arm for arm, _ in arms.values()):
            self._ledger.append(dataclasses.replace(record, run=self._run))
            chosen = arms.get(record.arm)
            name = "all arms" if chosen is None else self.space.label(chosen[1])
            for remark in tuning_remarks(record, name):
                _log.warning("%s", remark)
        if self.untrained:
            self.remark = f"{self.untrained} arms are left out: no value of tune could be trained"

    def _name_doubtful(self) -> None:
        """Remark that constraints are judged on a timing of the baseline that was disturbed."""
        doubtful = self._results.doubtful_constraints
        if doubtful:
            named, study = ", ".join(map(str, doubtful)), self.space.study
            self.remark = (
                f"{named}: judged on a timing of the baseline that was disturbed; on a quiet "
                f"machine, `gmsearch measure {study} --latency --disturbed` times it again"
            )

    def _name_lost(self) -> None:
        """Remark which finished trials cannot be measured on the bands of the space."""
        if self._queue.lost:
            paths = ", ".join(str(path) for path in self._queue.lost.values())
            self.remark = (
                f"{len(self._queue.lost)} finished trials lack bands of the space and cannot be "
                f"measured from their weights: {paths}; restore the files, or remove the bands"
            )

    def _ask(self, trained: int) -> bool:
        """Ask for a batch and record it; False if there is nothing left to try."""
        wanted = self.space.search.candidates
        room = None if wanted is None else wanted - trained
        fruitless = len(self._proposals) - trained
        if room is not None and room <= 0:
            return False
        if wanted is not None and fruitless > _FRUITLESS_ASKS + 10 * trained:
            self.stopped = (
                f"{fruitless} of {len(self._proposals)} proposals broke a constraint or were "
                "repeated; loosen the constraints or request fewer candidates"
            )
            return False
        more = self._proposals.ask(room)
        if room and not more:
            self.remark = (
                f"the space has only {trained} feasible candidates; {wanted} were requested"
            )
        return more

    def _stop_if_too_many_failed(self) -> None:
        limit = self.space.search.max_failed
        if limit is None:
            return
        trials = self._ledger.records.trials
        failed = sum(trial.state is State.FAILED for trial in trials.values())
        exceeded = failed > limit
        if isinstance(limit, float):  # a share of a handful of trials means little
            exceeded = len(trials) >= _TRIALS_BEFORE_SHARE and failed > limit * len(trials)
        if exceeded:
            self.stopped = f"{failed} of {len(trials)} trials failed, more than search.max_failed"
            self._pending.clear()
            self._exhausted = True
