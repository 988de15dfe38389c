"""The one loop of a study: ask, cost, timing, trials, tell, ledger.

The driver hands out plans and takes in records; engines are pools that run the plans. What is
to be done next follows from the ledger alone, so that a study continued after any interruption
takes the same path as one that never stopped. It needs neither torch nor ray.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from gmsearch.driver.judge import Judge
from gmsearch.driver.observer import Observer
from gmsearch.driver.planner import Arms, Planner
from gmsearch.driver.preflight import RunContext
from gmsearch.driver.tuning import remarks
from gmsearch.experiment import Plan, Progress
from gmsearch.ledger import Ledger
from gmsearch.plain import plain
from gmsearch.records import Failure, State, TrialRecord, record_of
from gmsearch.search import Proposal, sampler
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
        watch: Observer,
        *,
        start: dict[str, Any],
    ) -> None:
        """Take up the study where its ledger stands.

        Args:
            space: what to search.
            ledger: open, locked by this process.
            context: properties of the data and the device.
            watch: is told of every step.
            start: the `run` record of this start, written before the first plan is handed out,
                so that a start that finds nothing to do leaves no trace.
        """
        self.space = space
        self.stopped: str | None = None
        """Why the study stopped before its end, if it did."""
        self.remark: str | None = None
        """What is to be said of a study that ended otherwise than asked for."""
        self._ledger = ledger
        self._judge = Judge(space, context, ledger.records)
        self._watch = watch
        self._run = len(ledger.records.runs) + 1
        self._planner = Planner(self._judge, ledger.folder, self._run)
        self._start: dict[str, Any] | None = {"record": "run", "run": self._run, **start}
        self._proposals = [_proposal(space, record) for record in ledger.records.asks]
        self._arms = [self._judge.arm(p.assignment) for p in self._proposals]
        self._told = 0
        self._asked_before = bool(self._proposals)
        self._sampler = sampler(space)
        self._pending: deque[Plan] = deque()
        self._running: dict[str, Plan] = {}
        self._exhausted = False

    @property
    def trials(self) -> list[TrialRecord]:
        """The trials of the study so far, of this start and all before."""
        return list(self._ledger.records.trials.values())

    @property
    def counts(self) -> tuple[int, int]:
        """How many trials there are, as far as known, and how many of them are finished.

        Those that choose training values count as well.
        """
        return self._count(self._trainable())

    @property
    def untrained(self) -> int:
        """How many choices of training values failed: not one value could be trained."""
        return sum(tuned["chosen"] is None for tuned in self._ledger.records.tuned.values())

    @property
    def unmeasured(self) -> int:
        """How many finished trials lack bands of the space, and cannot be measured."""
        return len(self._planner.lost)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to hand out and nothing on its way."""
        return self._exhausted and not self._running and not self._pending

    def next(self) -> Plan | None:
        """Return the next plan; None while others must end first, or at the end.

        A timing is handed out only when nothing else is running, and nothing beside it.
        """
        if not self._pending and not self._running:
            self.advance()
        if not self._pending or any(p.kind == "timing" for p in self._running.values()):
            return None
        if self._pending[0].kind == "timing" and self._running:
            return None
        if self._start is not None:
            self._ledger.append(self._start)
            self._start = None
        plan = self._pending.popleft()
        self._running[plan.key] = plan
        self._watch.started(plan)
        return plan

    def progress(self, progress: Progress) -> None:
        """Pass on how far a trial is."""
        self._watch.progress(progress)

    def finish(self, plan: Plan) -> None:
        """Take in the record the worker left in the spool; without one, the worker was lost."""
        self._ledger.take_spool()
        record = self._recorded(plan)
        if record is None:
            record = _lost(plan)
            self._ledger.append(record)
        del self._running[plan.key]
        self._watch.finished(plan, record)
        self._stop_if_too_many_failed()

    def _recorded(self, plan: Plan) -> Mapping[str, Any] | None:
        """Return the record of this attempt; a neighbour's end may have taken it in before."""
        if plan.kind == "timing":
            record = self._judge.last_timing(plan.key, plan.request)
        elif plan.kind == "measure":
            record = self._ledger.records.last_measure(plan.key, plan.request)
        else:
            records = self._ledger.records
            trial = (records.tuning if plan.kind == "tuning" else records.trials).get(plan.key)
            record = {**trial.to_json(), "record": plan.kind} if trial is not None else None
        return record if record is not None and record["attempt"] >= plan.attempt else None

    def advance(self) -> None:
        """Fill the queue with what is missing; tell and ask when nothing is."""
        while not self._exhausted:
            arms = self._trainable()
            self._pending.extend(self._planner.timings(arms))
            if not self._pending:
                self._record_infeasible()
                self._pending.extend(self._planner.tunings(arms))
            if not self._pending:
                self._record_tuned(arms)
                self._pending.extend(self._planner.trials(arms))
                self._pending.extend(self._planner.measures(arms))
                self._name_lost()
            if not self._pending:
                self._tell()
                self._exhausted = not self._ask(len(arms))
            if self._pending or self._exhausted:
                self._watch.planned(*self._count(arms))
                return

    def _count(self, arms: Arms) -> tuple[int, int]:
        total, done = self._planner.progress(arms)
        wanted = 0 if self._exhausted else self.space.search.candidates or 0
        tune, seeds = self.space.tune, len(self.space.search.seeds)
        chosen = tune is not None and (tune.per == "arm" or not self._ledger.records.tuned)
        each = seeds + (len(tune.grid()) if tune is not None and chosen else 0)
        return total + max(0, wanted - len(arms)) * each, done

    def _record_tuned(self, arms: Arms) -> None:
        """Write down the training values chosen, and warn of those at the end of their range."""
        for record in self._judge.tuning.decisions(arm for arm, _ in arms.values()):
            self._ledger.append({**record, "run": self._run})
            of = arms.get(record["arm"])
            for said in remarks(record, "all arms" if of is None else self.space.label(of[1])):
                _log.warning("%s", said)
        if self.untrained:
            self.remark = f"{self.untrained} arms are left out: no value of tune could be trained"

    def _name_lost(self) -> None:
        """Say which finished trials cannot be measured on the bands of the space."""
        if self._planner.lost:
            paths = ", ".join(str(path) for path in self._planner.lost.values())
            self.remark = (
                f"{len(self._planner.lost)} finished trials lack bands of the space and cannot be "
                f"measured from their weights: {paths}; restore the files, or take the bands back"
            )

    def _trainable(self) -> Arms:
        """Return the arms asked for that are allowed and break no constraint known yet, in order.

        What was asked for may have been forbidden since.
        """
        found: Arms = {}
        for proposal, arm in zip(self._proposals, self._arms, strict=True):
            allowed = not self.space.forbidden(proposal.assignment)
            if allowed and arm.digest not in found and not self._judge.violations(arm):
                found[arm.digest] = (arm, proposal.assignment)
        return found

    def _record_infeasible(self) -> None:
        """Write down what broke a constraint before training, once."""
        written = {record["number"] for record in self._ledger.records.infeasible}
        for proposal, arm in zip(self._proposals, self._arms, strict=True):
            broken = self._judge.violations(arm)
            if broken and proposal.number not in written:
                self._ledger.append(
                    {
                        "record": "infeasible",
                        "number": proposal.number,
                        "arm": self.space.arm(proposal.assignment).digest,
                        "digest": arm.candidate.digest,
                        "params": plain(proposal.assignment),
                        "metrics": self._judge.known(arm),
                        "violations": broken,
                        "run": self._run,
                    }
                )

    def _ask(self, trained: int) -> bool:
        """Ask for a batch and write it down; False when there is nothing more to try."""
        wanted = self.space.search.candidates
        room = None if wanted is None else wanted - trained
        fruitless = len(self._proposals) - trained
        if room is not None and room <= 0:
            return False
        if wanted is not None and fruitless > _FRUITLESS_ASKS + 10 * trained:
            self.stopped = (
                f"{fruitless} of {len(self._proposals)} proposals broke a constraint or were "
                "repeats; loosen the constraints or ask for fewer candidates"
            )
            return False
        batch = self._sampler.ask(room)
        if room and not batch:
            self.remark = f"the space holds {trained} candidates that may be trained, not {wanted}"
        self._proposals += batch
        arms = [self._judge.arm(proposal.assignment) for proposal in batch]
        self._arms += arms
        # At once: a kill must not leave half a batch, which a sampler would go on from otherwise.
        self._ledger.append(
            *(
                {
                    "record": "ask",
                    "number": proposal.number,
                    "params": plain(proposal.assignment),
                    "arm": self.space.arm(proposal.assignment).digest,
                    "attributes": proposal.attributes,
                    **(
                        {"uncounted": left_out} if (left_out := self._judge.uncounted(arm)) else {}
                    ),
                }
                for proposal, arm in zip(batch, arms, strict=True)
            )
        )
        return bool(batch)

    def _tell(self) -> None:
        """Tell the outcomes of the proposals not yet told, in the order they were asked."""
        fresh = self._proposals[self._told :]
        outcomes = [
            self._judge.outcome(proposal.number, arm)
            for proposal, arm in zip(fresh, self._arms[self._told :], strict=True)
        ]
        if self._asked_before:
            self._sampler.replay(fresh, outcomes)
            self._asked_before = False
        else:
            for outcome in outcomes:
                self._sampler.tell(outcome)
        self._told = len(self._proposals)

    def _stop_if_too_many_failed(self) -> None:
        limit = self.space.search.max_failed
        if limit is None:
            return
        trials = self._ledger.records.trials
        failed = sum(trial.state is State.FAILED for trial in trials.values())
        exceeded = failed > limit
        if isinstance(limit, float):  # a share of a handful of trials says nothing
            exceeded = len(trials) >= _TRIALS_BEFORE_SHARE and failed > limit * len(trials)
        if exceeded:
            self.stopped = f"{failed} of {len(trials)} trials failed, more than search.max_failed"
            self._pending.clear()
            self._exhausted = True


def _proposal(space: Space, record: Mapping[str, Any]) -> Proposal:
    return Proposal(
        number=record["number"],
        assignment=space.assignment(record["params"]),
        attributes=record["attributes"],
    )


def _lost(plan: Plan) -> dict[str, Any]:
    """Return the record of a plan whose worker ended without leaving one."""
    return record_of(
        plan,
        failure=Failure.INFRASTRUCTURE,
        error="the worker ended without a record: killed, out of memory, or its node was lost",
    )
