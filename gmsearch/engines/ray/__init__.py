"""Run the plans of a study as Ray Tune trials on warm actors.

Tune is a pool here: its searcher hands out what the driver gives and takes nothing from Tune
but the news that a trial ended. The truth is the ledger; Tune's own snapshots are never read,
and its folder is thrown away at the end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0 the only way to a silent Tune
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data paths stay what they are
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on any system: loopback, and nothing else
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the record
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # an interrupt ends us at once; nothing waits for Tune
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # nothing reads the snapshots
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402 - reads the environment when it is imported
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from gmsearch.errors import GmsearchError  # noqa: E402
from gmsearch.experiment import Plan, Progress, plan_from  # noqa: E402
from gmsearch.plain import plain  # noqa: E402

if TYPE_CHECKING:
    from gmsearch.driver import Driver


def run(driver: Driver, *, workers: int) -> None:
    """Run plans on up to `workers` actors of this machine until the driver has none left."""
    resources = driver.space.resources
    share = {"cpu": resources.cpus, "gpu": resources.gpus}
    searcher = DriverSearcher(driver)
    with _session(workers * resources.cpus, workers * resources.gpus), _folder() as storage:
        tune.Tuner(
            tune.with_resources(Worker, share),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                max_concurrent_trials=workers,
                reuse_actors=True,
                trial_dirname_creator=_trial_folder,
            ),
            run_config=tune.RunConfig(
                name=driver.space.study,
                storage_path=storage,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    if searcher.error is not None:
        raise searcher.error


def _trial_folder(trial: Any) -> str:
    """Return a short name; Tune's own holds the whole configuration."""
    return str(trial.trial_id)


@contextlib.contextmanager
def _session(cpus: int, gpus: float) -> Iterator[None]:
    """Start a private Ray on the loopback address, and end it whatever happens."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in signals]
    ray.init(
        num_cpus=cpus,
        num_gpus=math.ceil(gpus) or None,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    # Ray sets handlers of its own, native and Python's; put back those that were there.
    for number, handler in zip(signals, handlers, strict=True):
        signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """Give Tune a folder of its own that goes away with it."""
    with tempfile.TemporaryDirectory(prefix="gmsearch-tune-", ignore_cleanup_errors=True) as path:
        yield path


class Worker(tune.Trainable):
    """Runs one plan after another in a process that keeps torch and the data loaded."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start the plan; a step is an epoch."""
        # Here, so that torch is loaded by the workers and not by the driver.
        from gmsearch import plugins, runner

        tree = json.loads(config["plan"])
        plugins.load_for_plan(tree)
        self._work = runner.run(plan_from(tree))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next plan in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Go on to the end of the next epoch, or of the plan."""
        try:
            progress = next(self._work)
        except StopIteration:
            return {"done": True}
        # As text, since Tune flattens what it passes on.
        return {"done": False, "progress": json.dumps(plain(progress))}


class DriverSearcher(Searcher):
    """Hands Tune the driver's plans, and the driver the news of their ends."""

    def __init__(self, driver: Driver) -> None:
        """Hold the driver, which stays in this process."""
        super().__init__()
        self._driver = driver
        self._plans: dict[str, Plan] = {}
        self.error: GmsearchError | None = None
        """What the driver raised: Tune would wrap it, and go on."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a searcher that knows nothing: Tune's snapshots are never read."""
        return Searcher, ()

    def suggest(self, trial_id: str) -> Any:
        """Return the next plan, None while it has to wait, FINISHED at the end."""
        if self.error is not None:
            return Searcher.FINISHED
        plan = self._driver.next()
        if plan is None:
            return Searcher.FINISHED if self._driver.finished else None
        self._plans[trial_id] = plan
        return {"plan": json.dumps(plan.to_json())}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass on an epoch."""
        if "progress" in result and trial_id in self._plans:
            self._driver.progress(Progress(**json.loads(result["progress"])))

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,  # noqa: ARG002 - the record is in the spool
        error: bool = False,  # noqa: FBT001, FBT002, ARG002 - Tune calls it by these names
    ) -> None:
        """Let the driver take in the record; a worker that died left none."""
        plan = self._plans.pop(trial_id, None)
        if plan is None or self.error is not None:
            return
        try:
            self._driver.finish(plan)
        except GmsearchError as raised:
            self.error = raised

    def save(self, checkpoint_path: str) -> None:
        """Save nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""
