"""Proposals of the sampler: requested in batches, recorded, and reported back with outcomes."""

from __future__ import annotations

import functools

from gmsearch.driver.outcomes import ArmResults
from gmsearch.driver.queue import AskedArms
from gmsearch.experiment import Arm
from gmsearch.ledger import Ledger
from gmsearch.plain import plain
from gmsearch.records import AskRecord, InfeasibleRecord
from gmsearch.search import Proposal, sampler
from gmsearch.space import Space


class Proposals:
    """All proposals of a study so far, with their arms, and the sampler that makes them."""

    def __init__(self, space: Space, ledger: Ledger, results: ArmResults, run: int) -> None:
        """Restore the proposals from the ledger; `run` is the number of this run."""
        self._space = space
        self._ledger = ledger
        self._results = results
        self._run = run
        self._proposals = [_proposal(space, record) for record in ledger.records.asks]
        self._arms = [results.arm(proposal.assignment) for proposal in self._proposals]
        self._reported = 0
        self._asked_before = bool(self._proposals)
        self._sampler = sampler(space)

    def __len__(self) -> int:
        """Return the number of proposals."""
        return len(self._proposals)

    @functools.cached_property
    def listed(self) -> int:
        """Number of arms that will be proposed where all are listed at once; 0 where asked."""
        if self._space.search.selects:
            return 0
        every = [self._results.arm(one.assignment) for one in sampler(self._space).ask(None)]
        arms = {arm.digest: arm for arm in every}
        return sum(not self._results.violations(arm) for arm in arms.values())

    def trainable(self, *, timed: bool = True) -> AskedArms:
        """Return the proposed arms that are allowed and break no known constraint, in order.

        An arm may have been forbidden since it was proposed. Without `timed`, arms that break a
        bound on what is measured by timing are returned too: it may be measured again.
        """
        arms: AskedArms = {}
        for proposal, arm in zip(self._proposals, self._arms, strict=True):
            allowed = not self._space.forbidden(proposal.assignment)
            if not allowed or arm.digest in arms:
                continue
            if not self._results.violations(arm, timed=timed):
                arms[arm.digest] = (arm, proposal.assignment)
        return arms

    def record_infeasible(self) -> None:
        """Record the proposals that broke a constraint before training, once."""
        written = {record.number for record in self._ledger.records.infeasible}
        for proposal, arm in zip(self._proposals, self._arms, strict=True):
            broken = self._results.violations(arm)
            if broken and proposal.number not in written:
                self._ledger.append(
                    InfeasibleRecord(
                        number=proposal.number,
                        arm=self._space.arm(proposal.assignment).digest,
                        digest=arm.candidate.digest,
                        params=plain(proposal.assignment),
                        metrics=self._results.known(arm),
                        violations=broken,
                        run=self._run,
                    )
                )

    def ask(self, most: int | None) -> bool:
        """Ask for a batch of at most so many arms and record it; False if there are no more."""
        batch = self._sampler.ask(most)
        arms = [self._results.arm(proposal.assignment) for proposal in batch]
        self._proposals += batch
        self._arms += arms
        # In one write: after a kill, a sampler would resume otherwise from half a batch.
        self._ledger.append(*map(self._record, batch, arms))
        return bool(batch)

    def tell(self) -> None:
        """Tell the sampler the outcomes it does not know yet, in the order of the proposals."""
        fresh = self._proposals[self._reported :]
        outcomes = [
            self._results.outcome(proposal.number, arm)
            for proposal, arm in zip(fresh, self._arms[self._reported :], strict=True)
        ]
        if self._asked_before:
            self._sampler.replay(fresh, outcomes)
            self._asked_before = False
        else:
            for outcome in outcomes:
                self._sampler.tell(outcome)
        self._reported = len(self._proposals)

    def _record(self, proposal: Proposal, arm: Arm) -> AskRecord:
        return AskRecord(
            number=proposal.number,
            params=plain(proposal.assignment),
            arm=self._space.arm(proposal.assignment).digest,
            attributes=proposal.attributes,
            uncounted=tuple(self._results.uncounted(arm)),
        )


def _proposal(space: Space, record: AskRecord) -> Proposal:
    return Proposal(
        number=record.number,
        assignment=space.assignment(record.params),
        attributes=record.attributes,
    )
