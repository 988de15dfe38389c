"""`gmsearch run`: trains the candidates of a space file until its study is finished."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gmsearch.cli.flags import DataRoot, SpaceFile

if TYPE_CHECKING:
    from rich.console import Console

    from gmsearch.driver import Driver


def run(
    space: SpaceFile,
    *,
    engine: Annotated[
        Literal["ray", "serial"],
        typer.Option(help="ray: trials in parallel; serial: one by one, in this process."),
    ] = "ray",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at once; defaults to as many as CPUs and GPUs allow."),
    ] = None,
    hang_seconds: Annotated[
        float,
        typer.Option(min=1, help="End a worker of ray that used no CPU time for so long."),
    ] = 300,
    data_root: DataRoot = None,
) -> None:
    """Train all candidates, or resume.

    Finished trials are never run again; a finished study trains nothing.
    """
    raise typer.Exit(run_space(space, engine, workers, data_root, hang_seconds))


def run_space(
    path: Path,
    engine: Literal["ray", "serial"],
    workers: int | None,
    data_root: Path | None,
    hang_seconds: float,
) -> int:
    """Run the study of a space file to its end; return the exit code."""
    import logging

    from rich.console import Console

    from gmsearch.cli.live import ProgressLines, ProgressTable
    from gmsearch.cli.studies import announces
    from gmsearch.driver import open_study
    from gmsearch.driver.preflight import (
        data_remarks,
        first_arms,
        inspect_run,
        network_remarks,
        require_possible,
        worker_count,
    )
    from gmsearch.driver.resumed import require_own_folder
    from gmsearch.driver.study import changed_plugins, require_same_plugins
    from gmsearch.spacefile import load_space

    terminal = Console(stderr=True)
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    logging.basicConfig(format="gmsearch: %(message)s", level=logging.WARNING)

    def announce(study: str, files: Mapping[str, Path]) -> None:
        announces(path)(study, changed_plugins(study, files))

    space = load_space(path, data_root=data_root, announce=announce)
    require_own_folder(space)
    require_same_plugins(space)  # before the data are decoded and networks are built
    context = inspect_run(space, path)
    require_possible(space, context, path)
    pool = 1 if engine == "serial" else worker_count(space.resources, workers)
    arms = first_arms(space)
    for remark in data_remarks(space, arms, context):
        console.print(f"{path}: {remark}")
    if remarks := network_remarks(arms, context):
        more = f"; {len(remarks) - 1} more, see `gmsearch check`" if len(remarks) > 1 else ""
        console.print(f"{path}: {remarks[0]}{more}")
    view = (ProgressTable if terminal.is_terminal else ProgressLines)(space, terminal, pool)
    with open_study(space, context, view, engine=engine) as driver:
        driver.advance()
        if not driver.finished:
            for remark in driver.mixing:
                console.print(f"{space.study}: {remark}")
            with view:
                _train(driver, engine, pool, hang_seconds)
        elif driver.trials:
            console.print(f"{space.study}: nothing to do; all trials are finished")
        return _summarize(driver, console)


def _train(
    driver: Driver, engine: Literal["ray", "serial"], workers: int, hang_seconds: float
) -> None:
    if engine == "serial":
        from gmsearch.engines import serial

        serial.run(driver)
    else:
        from gmsearch.engines import ray

        ray.run(driver, workers=workers, hang_seconds=hang_seconds)


def _summarize(driver: Driver, console: Console) -> int:
    """Print the number of trials by state; return the exit code, 1 if something failed."""
    import collections

    from gmsearch.records import State

    study = driver.space.study
    states = collections.Counter(trial.state for trial in driver.trials)
    if states:
        summary = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        console.print(f"{study}: {summary}; `gmsearch report` shows them")
    else:
        constraints = ", ".join(map(str, driver.space.constraints)) or "none"
        console.print(f"{study}: no candidate satisfies the constraints: {constraints}")
    for remark in (driver.stopped, driver.remark):
        if remark is not None:
            console.print(f"{study}: {remark}")
    incomplete = states[State.FAILED] or driver.untrained or driver.unmeasured
    return 1 if not states or incomplete or driver.stopped is not None else 0
