"""Run the plans of a study as Ray Tune trials on warm actors.

Tune is only a pool: its searcher hands out the driver's plans and reports when a trial has ended.
The truth is the ledger; Tune's snapshots are never read, and its folder is deleted at the end.

Workers of a private session run at the priority the program was started with, like the serial
engine. To be polite on a shared machine, lower it for the whole run: `nice -n 10 gmsearch run …`.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0 the only way to a silent Tune
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data paths stay what they are
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on any system: loopback, and nothing else
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_worker_niceness": "0",  # added to the driver's; Ray's own 15 would starve the trials
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the record
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # an interrupt ends us at once; nothing waits for Tune
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # nothing reads the snapshots
    "TUNE_RESULT_BUFFER_LENGTH": "1",  # a decision after every epoch
}.items():
    os.environ.setdefault(_name, _value)
os.environ["RAY_AUTH_MODE"] = "token"  # whatever the environment says: nobody else gets in

# Ray reads the environment when it is imported.
from gmsearch.engines.ray.pool import Decisions, tuner  # noqa: E402
from gmsearch.engines.ray.searcher import DriverSearcher  # noqa: E402
from gmsearch.engines.ray.session import joined, private, temporary_folder  # noqa: E402
from gmsearch.engines.ray.watch import Watch  # noqa: E402
from gmsearch.errors import SessionError  # noqa: E402

if TYPE_CHECKING:
    from gmsearch.driver import Driver

__all__ = ["joined", "private", "run"]


def run(
    driver: Driver,
    *,
    workers: int,
    session: AbstractContextManager[None] | None = None,
    hang_seconds: float = 300.0,
) -> None:
    """Run plans on up to `workers` actors until the driver has none left.

    Args:
        driver: of an open study.
        workers: number of trials that run at once.
        session: where they run, such as `joined(address)`; defaults to a private session with as
            many CPUs and GPUs as the workers need.
        hang_seconds: how long a worker may use no CPU time before it is ended and its plan run
            again.

    Raises:
        InputError: Ray cannot start here.
        SessionError: a process of Ray's own died; what finished is saved.
        StorageError: the study's folder cannot be written any more.
    """
    resources = driver.space.resources
    if session is None:
        session = private(workers * resources.cpus, workers * resources.gpus)
    with session, temporary_folder() as folder, temporary_folder() as signs:
        decisions = Decisions() if driver.scheduler is not None else None
        watch = Watch(signs, hang_seconds=hang_seconds)
        searcher = DriverSearcher(driver, decisions, watch=watch, signs=signs)
        pool = tuner(
            searcher,
            name=driver.space.study,
            cpus=resources.cpus,
            gpus=resources.gpus,
            workers=workers,
            decisions=decisions,
            folder=folder,
        )
        with watch:
            try:
                pool.fit()
            except BaseException as error:
                if watch.failure is None:
                    raise
                raise SessionError(watch.failure) from error
    if searcher.error is not None:
        raise searcher.error
