"""What is missing of finished trials, and may be measured from the weights they left."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from gmsearch.driver.preflight import RunContext
from gmsearch.experiment import Arm, Bands, Plan, recipe_from
from gmsearch.ledger import Records, weights
from gmsearch.metrics import HOLDOUT
from gmsearch.networks import candidate_from
from gmsearch.records import State, TrialRecord
from gmsearch.space import Space


class Measures:
    """Plans of measures: never of what is measured, and never of what would need training."""

    def __init__(self, space: Space, context: RunContext, records: Records, folder: Path) -> None:
        """Measure trials of the study in `folder`; `records` is read anew at every question."""
        self._space = space
        self._context = context
        self._records = records
        self._folder = folder.resolve()
        self.lost: dict[str, Path] = {}
        """Trials of which something is missing, by key, and the file of weights that is gone."""

    def plans(
        self, trials: Iterable[TrialRecord], bands: Bands, splits: Sequence[str], *, run: int
    ) -> list[Plan]:
        """Return a plan for each trial of which a version is missing on one of the splits.

        One at a time: what is missing on a later split is asked for when the first is measured.
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
    ) -> Plan:
        # From the record and not from the space, which may say otherwise by now.
        arm = Arm(candidate=candidate_from(trial.candidate), recipe=recipe_from(trial.recipe))
        plan = Plan(
            kind="measure",
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
        return plan if last is None else dataclasses.replace(plan, attempt=last["attempt"] + 1)
