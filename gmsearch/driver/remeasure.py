"""Plans that re-evaluate finished trials from their saved weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from gmsearch.driver.preflight import RunContext
from gmsearch.experiment import Arm, Bands, RemeasurePlan, recipe_from
from gmsearch.ledger import Records, weights
from gmsearch.metrics import HOLDOUT
from gmsearch.networks import candidate_from
from gmsearch.records import State, TrialRecord
from gmsearch.space import Space


class Remeasurer:
    """Plans the missing measurements of finished trials, which need no training."""

    def __init__(self, space: Space, context: RunContext, records: Records, folder: Path) -> None:
        """Plan for the study in `folder`; `records` is read anew by every method."""
        self._space = space
        self._context = context
        self._records = records
        self._folder = folder.resolve()
        self.lost: dict[str, Path] = {}
        """Trials that lack a measurement, by key, with the path of their missing weights."""

    def plans(
        self, trials: Iterable[TrialRecord], bands: Bands, splits: Sequence[str], *, run: int
    ) -> list[RemeasurePlan]:
        """Return a plan for each trial that lacks a version of the images on one of the splits.

        One split at a time: a later split is planned once the first has been measured.
        """
        plans = []
        for trial in trials:
            for split in splits:
                wanted = self._missing(trial, bands, split)
                if wanted:
                    path = weights(self._folder, trial.key)
                    if path.exists():
                        plans.append(self._plan(trial, bands, split, wanted, run))
                    else:
                        self.lost[trial.key] = path
                    break
        return plans

    def _missing(self, trial: TrialRecord, bands: Bands, split: str) -> tuple[str, ...]:
        """Return the versions whose metrics a COMPLETE trial lacks."""
        if trial.state is not State.COMPLETE:
            return ()
        names = (*bands.metrics, *(("nodc",) if bands.bn == "reestimate" else ()))
        prefix = HOLDOUT if split == "holdout" else ""
        known = self._records.metrics(trial, self._space.bands)
        called = {name: self._space.bands.name_of(prefix + name, bands.protocol) for name in names}
        return tuple(name for name, shown in called.items() if shown not in known)

    def _plan(
        self, trial: TrialRecord, bands: Bands, split: str, wanted: tuple[str, ...], run: int
    ) -> RemeasurePlan:
        # From the record and not from the space, which may have changed since.
        arm = Arm(candidate=candidate_from(trial.candidate), recipe=recipe_from(trial.recipe))
        plan = RemeasurePlan(
            key=trial.key,
            arm=arm,
            params=self._space.assignment(trial.params),
            seed=trial.seed,
            data=self._space.data,
            data_identity=self._context.data_identity,
            bands=bands.narrowed(wanted),
            device=self._context.device,
            threads=self._space.resources.cpus,
            study_dir=str(self._folder),
            plugins=self._space.plugins,
            run=run,
            split=split,
            wanted=wanted,
            weights_sha256=trial.training.get("weights_sha256"),
        )
        last = self._records.last_measure(plan.key, plan.request)
        return plan if last is None else dataclasses.replace(plan, attempt=last.attempt + 1)
