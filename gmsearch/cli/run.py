"""`gmsearch run`: from a space file to a finished study."""

from __future__ import annotations

import collections
import logging
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal

from rich.console import Console

from gmsearch.cli.live import Bars, Lines
from gmsearch.driver import Driver, open_study
from gmsearch.driver.preflight import (
    first_arms,
    inspect_run,
    network_remarks,
    require_possible,
    worker_count,
)
from gmsearch.ledger import STUDIES
from gmsearch.records import State
from gmsearch.spacefile import load_space

INTERRUPTED = 130


def run_space(
    path: Path, engine: Literal["ray", "serial"], workers: int | None, data_root: Path | None
) -> int:
    """Run the study of a space file to its end; return the exit code."""
    console = Console(stderr=True)
    logging.basicConfig(format="gmsearch: %(message)s", level=logging.WARNING)
    space = load_space(path, data_root=data_root)
    context = inspect_run(space, path)
    require_possible(space, context, path)
    pool = 1 if engine == "serial" else worker_count(space.resources, workers)
    odd = network_remarks(first_arms(space), context)
    if odd:
        more = f"; and {len(odd) - 1} more, see `gmsearch check`" if len(odd) > 1 else ""
        console.print(f"{path}: {odd[0]}{more}", markup=False, highlight=False, soft_wrap=True)
    view = (Bars if console.is_terminal else Lines)(space, console, pool)
    try:
        with (
            signals_as_interrupts(),
            open_study(space, context, view, engine=engine) as driver,
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
