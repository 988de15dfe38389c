"""The link between Tune and the driver: plans one way, progress and ends the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from gmsearch.errors import GmsearchError, SessionError, StorageError
from gmsearch.experiment import Plan, Progress

if TYPE_CHECKING:
    from gmsearch.driver import Driver
    from gmsearch.engines.ray.pool import Decisions
    from gmsearch.engines.ray.watch import Watch


_SECONDS_OF_DYING = 2.0


class DriverSearcher(Searcher):
    """Hands Tune the driver's plans, and reports their progress and ends to the driver."""

    def __init__(
        self, driver: Driver, decisions: Decisions | None, *, watch: Watch, signs: str
    ) -> None:
        """Keep the driver, which stays in this process.

        Args:
            driver: of an open study.
            decisions: of the scheduler; None without one.
            watch: knows which workers hung.
            signs: folder of the signs that workers leave for it.
        """
        super().__init__()
        self._driver = driver
        self._decisions = decisions
        self._watch = watch
        self._signs = signs
        self._plans: dict[str, Plan] = {}
        self.error: GmsearchError | None = None
        """Exception of the driver; Tune would wrap it and continue."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as an empty searcher: Tune's snapshots are never read."""
        return Searcher, ()

    def suggest(self, trial_id: str) -> Any:
        """Return the next plan, None while it has to wait, FINISHED at the end."""
        if self.error is not None:
            return Searcher.FINISHED
        plan = self._driver.next()
        if plan is None:
            return Searcher.FINISHED if self._driver.finished else None
        self._plans[trial_id] = plan
        return {"plan": json.dumps(plan.to_json()), "signs": self._signs}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an epoch to the driver; the worker waits, and learns of a decision to stop."""
        if "progress" not in result or trial_id not in self._plans:
            return
        progress = Progress(**json.loads(result["progress"]))
        if self._driver.progress(progress) == "stop" and self._decisions is not None:
            self._decisions.stop(progress.key)

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Tune calls it by these names
    ) -> None:
        """Let the driver collect the record; a worker that died left none.

        One that could not write it ends the study, since the next could not either; so does one
        that died with Ray itself.
        """
        plan = self._plans.pop(trial_id, None)
        if plan is None or self.error is not None:
            return
        if error and self._watch.session_failed(within=_SECONDS_OF_DYING):
            self.error = SessionError(self._watch.failure)
            return
        if result is not None and "storage" in result:
            self.error = StorageError(result["storage"])
            return
        try:
            self._driver.finish(plan, hung=self._watch.hung(plan.key))
        except GmsearchError as raised:
            self.error = raised

    def save(self, checkpoint_path: str) -> None:
        """Save nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""
