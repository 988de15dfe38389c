"""`gmsearch run`: trains the candidates of a space file until its study is finished."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gmsearch import __version__
from gmsearch.cli.flags import DataRoot, SpaceFile

if TYPE_CHECKING:
    from gmsearch.cli.live import ProgressLines
    from gmsearch.driver import Driver
    from gmsearch.space import Space


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
    from gmsearch.cli.console import Console
    from gmsearch.cli.live import view_of
    from gmsearch.cli.run_summary import summary
    from gmsearch.cli.studies import announces
    from gmsearch.driver.resumed import require_own_folder
    from gmsearch.driver.study import changed_plugins, require_same_plugins
    from gmsearch.spacefile import load_space

    def announce(study: str, files: Mapping[str, Path]) -> None:
        announces(path)(study, changed_plugins(study, files))

    space = load_space(path, data_root=data_root, announce=announce)
    require_own_folder(space)
    require_same_plugins(space)  # before the data are decoded and networks are built
    console = Console(stderr=True)
    with view_of(space, console) as view:
        driver = _run_to_end(space, path, view, engine=engine, workers=workers, hang=hang_seconds)
        view.doing("comparing all arms")
        lines, code = summary(driver, ran=view.began)
        for line in lines:
            view.log.write(line.fitting(None))
    for line in lines:
        console.say(line.fitting(console.width if console.redraws else None))
    return code


def _run_to_end(
    space: Space,
    path: Path,
    view: ProgressLines,
    *,
    engine: Literal["ray", "serial"],
    workers: int | None,
    hang: float,
) -> Driver:
    """Train what is missing; return the driver of the study, which is closed."""
    from gmsearch.cli.run_summary import load
    from gmsearch.driver import open_study
    from gmsearch.driver.preflight import (
        data_remarks,
        first_arms,
        inspect_run,
        network_remarks,
        require_possible,
        worker_count,
    )
    from gmsearch.experiment import ImagesOnDisk

    decoded = ", decoding them the first time" if isinstance(space.data, ImagesOnDisk) else ""
    view.doing(f"reading the images of {space.data.name}{decoded}")
    context = inspect_run(space, path)
    view.doing("building networks")
    require_possible(space, context, path)
    pool = 1 if engine == "serial" else worker_count(space.resources, workers)
    view.state.workers = pool
    many = "worker" if pool == 1 else "workers"
    view.log.write(f"gmsearch {__version__} runs {path} on {pool} {many}, engine {engine}")
    arms = first_arms(space)
    for remark in data_remarks(space, arms, context):
        view.remark(f"{path}: {remark}")
    if remarks := network_remarks(arms, context):
        more = f"; {len(remarks) - 1} more, see `gmsearch check`" if len(remarks) > 1 else ""
        view.remark(f"{path}: {remarks[0]}{more}")
    view.doing("choosing candidates and comparing costs")
    with open_study(space, context, view, engine=engine) as driver:
        driver.advance()
        if not driver.finished:
            for remark in driver.mixing:
                view.remark(f"{space.study}: {remark}")
            load()
            _train(driver, view, engine, pool, hang)
    return driver


def _train(
    driver: Driver,
    view: ProgressLines,
    engine: Literal["ray", "serial"],
    workers: int,
    hang_seconds: float,
) -> None:
    if engine == "serial":
        view.doing("loading torch")
        from gmsearch.engines import serial

        serial.run(driver)
    else:
        view.doing(f"starting Ray, {workers} worker{'s' if workers > 1 else ''}")
        from gmsearch.engines import ray

        ray.run(driver, workers=workers, hang_seconds=hang_seconds)
