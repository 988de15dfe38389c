"""Which timings and trials are due, from what the ledger holds of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gmsearch.driver.judge import Judge
from gmsearch.driver.remeasure import Measures
from gmsearch.experiment import Arm, Assignment, Plan
from gmsearch.ledger import weights
from gmsearch.records import Failure

MAX_ATTEMPTS = 3
"""A trial that failed through no fault of its candidate is tried this often in all."""

Arms = dict[str, tuple[Arm, Assignment]]
"""By digest, each with the first assignment that spells it, in the order asked."""


class Planner:
    """Plans for all of some arms that has no final record yet."""

    def __init__(self, judge: Judge, folder: Path, run: int) -> None:
        """Plan for the study in `folder`; `run` is the number of this start."""
        self._judge = judge
        self._folder = str(folder.resolve())
        self._run = run
        self._measures = Measures(judge.space, judge.context, judge.records, folder)

    @property
    def lost(self) -> dict[str, Path]:
        """Finished trials that lack a band and cannot be measured, with their weights' places."""
        return self._measures.lost

    def timings(self, arms: Arms) -> list[Plan]:
        """Return the timings that are due, the baseline's first: what was not measured before."""
        wanted = list(arms.values())
        baseline = self._judge.space.baseline
        if self._judge.baseline is not None and baseline is not None:
            wanted.insert(0, (self._judge.baseline, baseline))
        plans: dict[str, Plan] = {}
        for arm, params in wanted:
            key, measured = self._judge.timing_key(arm), self._judge.timing(arm)
            missing = tuple(name for name in self._judge.timed if name not in measured)
            if not missing or key in plans:
                continue
            plan = dataclasses.replace(self._plan("timing", key, arm, params), wanted=missing)
            attempt = _next_attempt(self._judge.last_timing(key, plan.request))
            if attempt is not None:
                plans[key] = dataclasses.replace(plan, attempt=attempt)
        return list(plans.values())

    def tunings(self, arms: Arms) -> list[Plan]:
        """Return the runs that are due before training values are chosen."""
        space, tuning = self._judge.space, self._judge.tuning
        if space.tune is None:
            return []
        # Its holdout alone is measured, and of the bands what decides.
        bands = dataclasses.replace(space.bands.narrowed((space.tune.metric,)), every=0)
        plans: dict[str, Plan] = {}
        for arm, params in arms.values():
            for run in tuning.open(arm):
                trial = self._judge.records.tuning.get(run.key)
                attempt = _next_attempt(trial.to_json() if trial else None)
                if attempt is not None and run.key not in plans:
                    plan = self._plan("tuning", run.key, run.arm, params)
                    plans[run.key] = dataclasses.replace(
                        plan, seed=space.tune.seed, bands=bands, attempt=attempt
                    )
        return list(plans.values())

    def trials(self, arms: Arms) -> list[Plan]:
        """Return the trials that are due: all arms with one seed before the next seed.

        None of an arm whose training values are not chosen.
        """
        plans: dict[str, Plan] = {}
        for seed, arm, params in self._repeats(arms):
            key = self._judge.trial_key(arm, seed)
            trial = self._judge.records.trials.get(key)
            attempt = _next_attempt(trial.to_json() if trial else None)
            if attempt is not None and key not in plans:
                plan = self._plan("trial", key, arm, params)
                plans[key] = dataclasses.replace(plan, seed=seed, attempt=attempt)
        return list(plans.values())

    def progress(self, arms: Arms) -> tuple[int, int]:
        """Return how many trials and tunings the arms have, and how many are finished."""
        total, due = 0, len(self.tunings(arms)) + len(self.trials(arms))
        tuning, seeds = self._judge.tuning, len(self._judge.space.search.seeds)
        for arm, _ in arms.values():
            total += len(tuning.runs(arm))
            if tuning.hopeless(arm):
                continue
            total += seeds
            due += seeds if tuning.trained(arm) is None else 0
        return total, total - due

    def _repeats(self, arms: Arms) -> Iterator[tuple[int, Arm, Assignment]]:
        tuned = [(self._judge.tuning.trained(arm), params) for arm, params in arms.values()]
        for seed in self._judge.space.search.seeds:
            yield from ((seed, arm, params) for arm, params in tuned if arm is not None)

    def measures(self, arms: Arms) -> list[Plan]:
        """Return what finished trials lack of the space's bands; the space has changed since."""
        space, records = self._judge.space, self._judge.records
        splits = (
            ("evaluation", "holdout") if self._judge.context.holdout_images else ("evaluation",)
        )
        keys = [self._judge.trial_key(arm, seed) for seed, arm, _ in self._repeats(arms)]
        trials = [records.trials[key] for key in keys if key in records.trials]
        due = []
        for plan in self._measures.plans(trials, space.bands, splits, run=self._run):
            last = records.last_measure(plan.key, plan.request)
            # What failed at an earlier start is tried again: the weights may be restored by now.
            if last is None or last["run"] != self._run or _next_attempt(last) is not None:
                due.append(plan)
            else:
                self.lost[plan.key] = weights(Path(self._folder), plan.key)
        return due

    def _plan(self, kind: Any, key: str, arm: Arm, params: Assignment) -> Plan:
        space = self._judge.space
        return Plan(
            kind=kind,
            key=key,
            arm=arm,
            params=params,
            seed=0,
            data=space.data,
            data_identity=self._judge.context.data_identity,
            bands=space.bands,
            device=self._judge.context.device,
            threads=space.resources.cpus,
            study_dir=self._folder,
            plugins=space.plugins,
            run=self._run,
            known=self._judge.known(arm),
        )


def _next_attempt(record: Mapping[str, Any] | None) -> int | None:
    """Return the number of the attempt that is due; None where there is a final record."""
    if record is None:
        return 1
    failure = record.get("failure")
    if failure is None or not Failure(failure).retried or record["attempt"] >= MAX_ATTEMPTS:
        return None
    return int(record["attempt"]) + 1
