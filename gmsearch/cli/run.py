"""`gmsearch run`: from a space file to a finished study."""

from __future__ import annotations

import collections
import itertools
import logging
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal

from rich.console import Console

from gmsearch.cli.live import Bars, Lines
from gmsearch.data import load
from gmsearch.driver import STUDIES, Driver, Facts, counted, infeasible_by_cost, open_study
from gmsearch.environment import cpu_count, cpu_name, lacking
from gmsearch.errors import FieldError, InputError
from gmsearch.experiment import Arm, timed
from gmsearch.networks import TimmSpec
from gmsearch.records import State
from gmsearch.space import Resources, Space
from gmsearch.spacefile import load_space

INTERRUPTED = 130
_ARMS_LOOKED_AT = 100


def run_space(
    path: Path, engine: Literal["ray", "serial"], workers: int | None, data_root: Path | None
) -> int:
    """Run the study of a space file to its end; return the exit code."""
    console = Console(stderr=True)
    logging.basicConfig(format="gmsearch: %(message)s", level=logging.WARNING)
    space = load_space(path, data_root=data_root)
    facts = facts_of(space, path)
    require_possible(space, facts, path)
    pool = 1 if engine == "serial" else workers_of(space.resources, workers)
    odd = remarks(_first_arms(space), facts)
    if odd:
        more = f"; and {len(odd) - 1} more, see `gmsearch check`" if len(odd) > 1 else ""
        console.print(f"{path}: {odd[0]}{more}", markup=False, highlight=False, soft_wrap=True)
    view = (Bars if console.is_terminal else Lines)(space, console, pool)
    try:
        with (
            signals_as_interrupts(),
            open_study(space, facts, view, engine=engine) as driver,
        ):
            driver.advance()
            if driver.finished:
                if driver.trials:
                    console.print(f"{space.study}: nothing to do, every trial is finished")
                return _exit_code(driver, console)
            with view:
                _run(driver, engine, pool)
            return _exit_code(driver, console)
    except KeyboardInterrupt:
        console.print(
            f"interrupted; what finished is kept in {STUDIES / space.study}. Continue with:\n"
            f"  {shlex.join(['gmsearch', *sys.argv[1:]])}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return INTERRUPTED


def _run(driver: Driver, engine: str, workers: int) -> None:
    if engine == "serial":
        from gmsearch.engines import serial

        serial.run(driver)
    else:
        from gmsearch.engines import ray

        ray.run(driver, workers=workers)


def facts_of(space: Space, path: Path) -> Facts:
    """Find out what the driver must know; decodes the data if that was not done before.

    Raises:
        DataError: the data set is missing or damaged.
        InputError: the file at `path` asks for what the data cannot give, or for a GPU where there
            is none.
    """
    try:
        data = load(space.data)
    except FieldError as error:
        raise InputError(f"{path}: data.{error}") from None
    try:
        space.bands.require_frequencies(data.resolution)
    except FieldError as error:
        raise InputError(f"{path}: bands.{error}") from None
    gpus = _gpus(space.resources)
    return Facts(
        data_identity=data.identity,
        data_identity_of=data.identity_of,
        mean=data.mean,
        std=data.std,
        classes=len(data.classes),
        resolution=data.resolution,
        evaluation_images=len(data.evaluation.labels),
        holdout_images=len(data.holdout.labels),
        device="cuda" if gpus else "cpu",
        device_name=gpus[0] if gpus else cpu_name(),
    )


def require_possible(space: Space, facts: Facts, path: Path) -> None:
    """Refuse, before anything is written, what no run could do.

    Raises:
        InputError: the baseline breaks a static constraint, timm has no model of a name, or what
            is to be timed or compiled cannot be on this device.
    """
    _require_timings(space, facts, path)
    if space.baseline is not None:
        broken = infeasible_by_cost(space, space.arm(space.baseline), facts)
        if broken:
            raise InputError(
                f"{path}: baseline: breaks {', '.join(broken)}; loosen that, or take another"
            )
    arms = _first_arms(space)
    if any(arm.recipe.compile != "none" for arm in arms):
        missing = lacking("compiled", facts.device)
        if missing is not None:
            raise InputError(f"{path}: train.compile: {missing}")
    for arm in arms:
        if isinstance(arm.candidate, TimmSpec):
            try:
                counted(arm.candidate, classes=facts.classes, resolution=facts.resolution)
            except FieldError as error:
                raise InputError(f"{path}: model.{error}") from None


def _first_arms(space: Space) -> list[Arm]:
    """Return the first arms, all of a small space; none where there are infinitely many."""
    if space.count() is None:
        return []
    return [arm for _, arm in itertools.islice(space.arms(), _ARMS_LOOKED_AT)]


def remarks(arms: Iterable[Arm], facts: Facts) -> list[str]:
    """Return what is odd about the networks of some arms, each with how many have it.

    Kernels that are larger than their map, and operators that no static metric counts.
    """
    said: collections.Counter[str] = collections.Counter()
    for candidate in dict.fromkeys(arm.candidate for arm in arms):
        said.update(set(candidate.kernel_warnings(facts.resolution)))
        if isinstance(candidate, TimmSpec):
            unknown = counted(candidate, classes=facts.classes, resolution=facts.resolution)[1]
            said.update(f"the static cost leaves out {operator}" for operator in unknown)
    return [
        f"{what} ({count} candidate{'s' if count > 1 else ''})"
        for what, count in said.most_common()
    ]


def _require_timings(space: Space, facts: Facts, path: Path) -> None:
    for section, goals in (("objectives", space.objectives), ("constraints", space.constraints)):
        for goal in goals:
            metric, condition = timed(goal.metric) or ("", None)
            missing = condition and lacking(condition.mode, facts.device)
            if metric == "peak_memory_mb" and facts.device == "cpu":
                missing = "it is measured on a GPU; set resources.gpus, or leave it out"
            if missing:
                raise InputError(f"{path}: {section}.{goal.metric}: {missing}")


def _gpus(resources: Resources) -> list[str]:
    """Return the names of the GPUs here; none where a trial needs none, so that torch stays out.

    Raises:
        InputError: there are fewer than one trial needs.
    """
    if resources.gpus == 0:
        return []
    from gmsearch.runner import gpu_names

    names = gpu_names()
    if len(names) < resources.gpus:
        raise InputError(
            f"resources.gpus is {resources.gpus:g}, but torch finds {len(names)} GPUs here; "
            "set it to 0 to run on the CPU"
        )
    return names


def workers_of(resources: Resources, asked: int | None) -> int:
    """Return how many trials run at once: as many as asked, or as the machine has room for.

    Raises:
        InputError: not even one trial has room, or more were asked for than have.
    """
    room = cpu_count() // resources.cpus
    if room == 0:
        raise InputError(
            f"resources.cpus is {resources.cpus}, but there are {cpu_count()} here; lower it"
        )
    if resources.gpus:
        room = min(room, int(len(_gpus(resources)) / resources.gpus))
    if asked is not None and asked > room:
        raise InputError(f"--workers {asked}: there is room for {room} trials at once")
    return room if asked is None else asked


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does, keeping what finished.

    One that is ignored stays so: `nohup` asks for that.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_code(driver: Driver, console: Console) -> int:
    """Say how the study stands; return 1 where a trial failed."""
    states = collections.Counter(trial.state for trial in driver.trials)
    if not states:
        named = ", ".join(map(str, driver.space.constraints)) or "none"
        console.print(
            f"{driver.space.study}: no candidate may be trained; constraints: {named}",
            markup=False,
        )
        if driver.remark is not None:
            console.print(f"{driver.space.study}: {driver.remark}", markup=False)
        return 1
    summary = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    console.print(f"{driver.space.study}: {summary}; `gmsearch report` shows them")
    for said in (driver.stopped, driver.remark):
        if said is not None:
            console.print(f"{driver.space.study}: {said}", markup=False)
    lacking = states[State.FAILED] or driver.untrained or driver.unmeasured
    return 1 if lacking or driver.stopped is not None else 0
