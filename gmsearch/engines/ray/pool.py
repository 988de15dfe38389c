"""The pool of workers: Tune trials on actors that keep torch and the data loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from gmsearch.engines.ray.watch import at_work
from gmsearch.errors import StorageError
from gmsearch.experiment import Decision, plan_from
from gmsearch.plain import plain

if TYPE_CHECKING:
    from gmsearch.engines.ray.searcher import DriverSearcher


class Decisions:
    """Keys of the trials that a scheduler stops, shared between the driver and its workers.

    Tune's own way to stop a trial would end it before its worker has written the record.
    """

    def __init__(self) -> None:
        """Start the actor that holds the keys."""
        self._stopped: Any = ray.remote(num_cpus=0)(_Keys).remote()

    def stop(self, key: str) -> None:
        """Stop a trial; its worker learns of it before its next epoch."""
        ray.get(self._stopped.add.remote(key))

    def of(self, key: str) -> Decision:
        """Return the decision on a trial."""
        return "stop" if ray.get(self._stopped.contains.remote(key)) else "continue"


class _Keys:
    """A set in a separate process."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def add(self, key: str) -> None:
        self._keys.add(key)

    def contains(self, key: str) -> bool:
        return key in self._keys


class Worker(tune.Trainable):
    """Runs one plan after another; a step is an epoch."""

    def setup(self, config: dict[str, Any], decisions: Decisions | None = None) -> None:
        """Start a plan."""
        # Deferred, so that only workers load torch, and not the driver.
        from gmsearch import plugins, runner

        tree = json.loads(config["plan"])
        plugins.load_for_plan(tree)
        plan = plan_from(tree)
        self._work = runner.run(plan)
        self._key = plan.key
        self._signs = config["signs"]
        self._decisions = decisions
        self._started = False

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next plan in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Run to the end of the next epoch, or of the plan; a stopped plan ends at once."""
        decision = self._decisions.of(self._key) if self._decisions and self._started else None
        self._started = True
        try:
            with at_work(self._signs, self._key):
                progress = self._work.send(decision)
        except StopIteration:
            return {"done": True}
        except StorageError as error:
            return {"done": True, "storage": str(error)}
        # As text, since Tune flattens results.
        return {"done": False, "progress": json.dumps(plain(progress))}


def tuner(
    searcher: DriverSearcher,
    *,
    name: str,
    cpus: int,
    gpus: float,
    workers: int,
    decisions: Decisions | None,
    folder: str,
) -> tune.Tuner:
    """Return a Tuner that runs the searcher's plans.

    Args:
        searcher: hands out the plans.
        name: of the study.
        cpus: number of CPUs of a worker.
        gpus: number of GPUs of a worker.
        workers: number of plans that run at once.
        decisions: of the scheduler; None without one.
        folder: for Tune's own files.
    """
    worker = Worker if decisions is None else tune.with_parameters(Worker, decisions=decisions)
    return tune.Tuner(
        tune.with_resources(worker, {"cpu": cpus, "gpu": gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=workers,
            reuse_actors=True,
            trial_dirname_creator=_trial_folder,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=folder,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def _trial_folder(trial: Any) -> str:
    """Return a short name; Tune's default contains the whole configuration."""
    return str(trial.trial_id)
