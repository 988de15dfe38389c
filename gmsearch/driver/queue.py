"""Plans to run next, derived from the ledger's records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from gmsearch.driver.outcomes import ArmResults
from gmsearch.driver.remeasure import Remeasurer
from gmsearch.experiment import Arm, Plan, RemeasurePlan, TimingPlan, TrialPlan, TuningPlan
from gmsearch.ledger import weights
from gmsearch.metrics import is_trained
from gmsearch.plain import Assignment
from gmsearch.records import MAX_ATTEMPTS, WorkRecord

Again = Literal["this run", "disturbed", "all"]
"""Timings that are made again although there is one."""

AskedArms = dict[str, tuple[Arm, Assignment]]
"""Arms by digest, each with the first assignment that gives it, in the order they were
proposed."""


class Queue:
    """Plans for all work on some arms that has no final record yet."""

    def __init__(
        self, results: ArmResults, folder: Path, run: int, *, scheduled: bool = False
    ) -> None:
        """Plan for the study in `folder`.

        Args:
            results: everything known of arms.
            folder: of the study.
            run: number of this run.
            scheduled: whether a scheduler watches the trials, so that their histories contain
                every trained objective on the holdout.
        """
        self._results = results
        self._folder = str(folder.resolve())
        self._run = run
        space = results.space
        objectives = [goal.metric for goal in space.objectives if is_trained(goal.metric)]
        self._watched = tuple(objectives) if scheduled else ()
        self._remeasurer = Remeasurer(space, results.context, results.records, folder)

    @property
    def lost(self) -> dict[str, Path]:
        """Finished trials that lack a band and cannot be measured, with their weights' paths."""
        return self._remeasurer.lost

    def timings(self, arms: AskedArms, *, again: Again = "this run") -> list[Plan]:
        """Return the timings that are due, the baseline's first.

        Args:
            arms: whose candidates are timed.
            again: which timings are made again: the disturbed ones of this run, up to three
                times; all disturbed ones; or all.
        """
        wanted = list(arms.values())
        baseline = self._results.space.baseline
        if self._results.baseline is not None and baseline is not None:
            wanted.insert(0, (self._results.baseline, baseline))
        plans: dict[str, Plan] = {}
        for arm, params in wanted:
            key = self._results.timing_key(arm)
            plan = None if key in plans else self._timing(key, arm, params, again)
            if plan is not None:
                plans[key] = plan
        return list(plans.values())

    def _timing(self, key: str, arm: Arm, params: Assignment, again: Again) -> TimingPlan | None:
        """Return the timing of an arm that is due, if one is."""
        results, measured = self._results, self._results.timing(arm)
        missing = tuple(name for name in results.timed if name not in measured)
        repeated = results.timed if again == "all" else results.disturbed(arm)
        wanted = missing or repeated
        if not wanted:
            return None
        plan = TimingPlan(wanted=wanted, **self._common(key, arm, params))
        last = results.last_timing(key, plan.request)
        attempt = _next_attempt(last, self._run)
        if not missing and last is not None:
            tired = last.run != self._run or last.attempt >= MAX_ATTEMPTS
            attempt = None if again == "this run" and tired else last.attempt + 1
        return None if attempt is None else dataclasses.replace(plan, attempt=attempt)

    def tunings(self, arms: AskedArms) -> list[Plan]:
        """Return the runs that are due before training values can be chosen."""
        space, tuning = self._results.space, self._results.tuning
        if space.tune is None:
            return []
        # Only what decides is measured: one metric, on the holdout.
        bands = dataclasses.replace(space.bands.narrowed((space.tune.metric,)), every=0)
        plans: dict[str, Plan] = {}
        for arm, params in arms.values():
            for run in tuning.open(arm):
                attempt = _next_attempt(self._results.records.tuning.get(run.key), self._run)
                if attempt is not None and run.key not in plans:
                    plans[run.key] = TuningPlan(
                        seed=space.tune.seed,
                        bands=bands,
                        attempt=attempt,
                        **self._common(run.key, run.arm, params),
                    )
        return list(plans.values())

    def trials(self, arms: AskedArms) -> list[Plan]:
        """Return the trials that are due: all arms with one seed before the next seed.

        Arms whose training values are not chosen have none.
        """
        plans: dict[str, Plan] = {}
        for seed, arm, params in self._repeats(arms):
            key = self._results.trial_key(arm, seed)
            attempt = _next_attempt(self._results.records.trials.get(key), self._run)
            if attempt is not None and key not in plans:
                plans[key] = TrialPlan(
                    seed=seed,
                    bands=self._results.space.bands,
                    known=self._results.known(arm),
                    watched=self._watched,
                    attempt=attempt,
                    **self._common(key, arm, params),
                )
        return list(plans.values())

    def progress(self, arms: AskedArms) -> tuple[int, int]:
        """Return the number of trials and tunings of the arms, and how many are finished."""
        total, due = 0, len(self.tunings(arms)) + len(self.trials(arms))
        tuning, seeds = self._results.tuning, len(self._results.space.search.seeds)
        for arm, _ in arms.values():
            total += len(tuning.runs(arm))
            if tuning.hopeless(arm):
                continue
            total += seeds
            due += seeds if tuning.trained(arm) is None else 0
        return total, total - due

    def remeasures(self, arms: AskedArms) -> list[Plan]:
        """Return the bands that finished trials lack, if those of the space have changed."""
        results, records = self._results, self._results.records
        held = results.context.holdout_images > 0
        splits = ("evaluation", "holdout") if held else ("evaluation",)
        keys = [results.trial_key(arm, seed) for seed, arm, _ in self._repeats(arms)]
        trials = [records.trials[key] for key in keys if key in records.trials]
        plans = self._remeasurer.plans(trials, results.space.bands, splits, run=self._run)
        return [plan for plan in plans if self._is_due(plan)]

    def _is_due(self, plan: RemeasurePlan) -> bool:
        """Return whether a re-evaluation may succeed; the trial is lost if it may not."""
        last = self._results.records.last_measure(plan.key, plan.request)
        # What failed in an earlier run is tried again: the weights may have been restored.
        if last is None or last.run != self._run or _next_attempt(last, self._run) is not None:
            return True
        self.lost[plan.key] = weights(Path(self._folder), plan.key)
        return False

    def _repeats(self, arms: AskedArms) -> Iterator[tuple[int, Arm, Assignment]]:
        tuned = [(self._results.tuning.trained(arm), params) for arm, params in arms.values()]
        for seed in self._results.space.search.seeds:
            yield from ((seed, arm, params) for arm, params in tuned if arm is not None)

    def _common(self, key: str, arm: Arm, params: Assignment) -> Mapping[str, Any]:
        """Return the fields that plans of every kind have."""
        space, context = self._results.space, self._results.context
        return {
            "key": key,
            "arm": arm,
            "params": params,
            "data": space.data,
            "data_identity": context.data_identity,
            "device": context.device,
            "threads": space.resources.cpus,
            "study_dir": self._folder,
            "plugins": space.plugins,
            "run": self._run,
        }


def _next_attempt(record: WorkRecord | None, run: int) -> int | None:
    """Return the number of the attempt that is due in a run; None if there is to be none."""
    if record is None:
        return 1
    # The machine may have been mended since an earlier run: it is given one more attempt.
    if record.final or (record.attempt >= MAX_ATTEMPTS and record.run == run):
        return None
    return int(record.attempt) + 1
