"""`gmsearch measure`: other bands, a split or a protocol of finished trials; latency again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gmsearch.cli.flags import DataRoot, StudyName
from gmsearch.errors import FieldError, FlagError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from gmsearch.cli.console import Console
    from gmsearch.driver.preflight import RunContext
    from gmsearch.experiment import Bands, Plan
    from gmsearch.ledger import Ledger
    from gmsearch.space import Space


def measure(
    study: StudyName,
    *,
    radii: Annotated[
        str | None,
        typer.Option(help="Radii, e.g. 6,12; defaults to the study's radii and ranges."),
    ] = None,
    ranges: Annotated[
        str | None, typer.Option(help="Bands between two radii, e.g. 4:10,10:16.")
    ] = None,
    edge: Annotated[
        Literal["lt", "le"] | None,
        typer.Option(help="Low-pass keeps distances < r (lt) or <= r (le)."),
    ] = None,
    rescale: Annotated[
        Literal["none", "max"] | None,
        typer.Option(help="max: divide each band image by its maximum."),
    ] = None,
    dc: Annotated[
        Literal["dataset_mean", "drop", "image_mean"] | None,
        typer.Option(help="Mean added to high-pass and band images."),
    ] = None,
    boundary: Annotated[
        Literal["periodic", "mirror"] | None,
        typer.Option(help="Boundary condition of the filter."),
    ] = None,
    bn: Annotated[
        Literal["keep", "reestimate"] | None,
        typer.Option(help="Batch-norm statistics: as trained, or re-estimated on each band."),
    ] = None,
    split: Annotated[
        Literal["evaluation", "holdout"], typer.Option(help="Split to evaluate.")
    ] = "evaluation",
    latency: Annotated[
        bool, typer.Option("--latency", help="Time the candidates again, instead of bands.")
    ] = False,
    disturbed: Annotated[
        bool, typer.Option("--disturbed", help="With --latency: only disturbed timings.")
    ] = False,
    data_root: DataRoot = None,
) -> None:
    """Re-evaluate finished trials on other bands, or time candidates again.

    Uses the saved weights; trains nothing. Options not given are the study's.
    """
    if disturbed and not latency:
        raise InputError("--disturbed: expected --latency with it; add it")
    if latency:
        raise typer.Exit(time_again(study, disturbed=disturbed, data_root=data_root))
    options = {"edge": edge, "rescale": rescale, "dc": dc, "boundary": boundary, "bn": bn}
    raise typer.Exit(
        measure_study(
            study, radii=radii, ranges=ranges, options=options, split=split, data_root=data_root
        )
    )


def measure_study(
    study: str,
    *,
    radii: str | None,
    ranges: str | None,
    options: Mapping[str, str | None],
    split: str,
    data_root: Path | None,
) -> int:
    """Measure the requested bands that finished trials lack; return the exit code."""
    from gmsearch.driver.preflight import inspect_run

    console, path, space = _read(study, data_root)
    bands = _bands(space.bands, radii, ranges, options)
    context = inspect_run(space, path)
    _require_possible(bands, split, context)
    with _opened(path.parent, space, context) as ledger:
        return _measure(ledger, space, context, bands, split=split, console=console)


def time_again(study: str, *, disturbed: bool, data_root: Path | None) -> int:
    """Time the candidates of a study again, or only those disturbed; return the exit code."""
    from gmsearch.driver import run_record
    from gmsearch.driver.again import timings_again
    from gmsearch.driver.preflight import inspect_run

    console, path, space = _read(study, data_root)
    context = inspect_run(space, path)
    with _opened(path.parent, space, context) as ledger:
        start = run_record(ledger, space, context, "measure")
        plans = timings_again(space, context, ledger, run=start.run, disturbed=disturbed)
        if not plans:
            which = "no timing was disturbed" if disturbed else "its space asks for no timing"
            console.say(f"{space.study}: nothing to do; {which}")
            return 0
        ledger.append(start)
        failed = _run(ledger, space, plans, console)
        done = f"{len(plans) - failed} candidates timed again"
        console.say(f"{space.study}: {done}; `gmsearch report` shows them")
        return 1 if failed else 0


def _read(study: str, data_root: Path | None) -> tuple[Console, Path, Space]:
    """Return the console for messages, the path of a study's space file, and its space."""
    from gmsearch.cli.console import Console
    from gmsearch.cli.studies import announces, study_folder
    from gmsearch.spacefile import load_space

    console = Console(stderr=True)
    path = study_folder(study) / "space.yaml"
    space = load_space(path, data_root=data_root, execute=True, announce=announces(study))
    return console, path, space


@contextlib.contextmanager
def _opened(folder: Path, space: Space, context: RunContext) -> Iterator[Ledger]:
    """Open the ledger of a study whose data are those of `context`."""
    from gmsearch.driver import require_same_data
    from gmsearch.ledger import Ledger

    with Ledger.open(folder, space.study, space.digest) as ledger:
        require_same_data(ledger, context)
        yield ledger


def _measure(
    ledger: Ledger,
    space: Space,
    context: RunContext,
    bands: Bands,
    *,
    split: str,
    console: Console,
) -> int:
    """Run what is missing and print the outcome; return the exit code."""
    from gmsearch.driver import Remeasurer, run_record

    start = run_record(ledger, space, context, "measure")
    remeasurer = Remeasurer(space, context, ledger.records, ledger.folder)
    plans = remeasurer.plans(ledger.records.trials.values(), bands, [split], run=start.run)
    failed = 0
    if plans:
        ledger.append(start)
        failed = _run(ledger, space, plans, console)
        done = len(plans) - failed
        console.say(f"{space.study}: {done} trials measured; `gmsearch report` shows them")
    elif remeasurer.lost:
        console.say(f"{space.study}: no trial could be measured")
    else:
        console.say(f"{space.study}: nothing to do; every finished trial has these measurements")
    for key, path in remeasurer.lost.items():
        console.say(
            f"{key}: its weights are missing: {path}; restore the file, or train the trial again "
            "in a study with another name"
        )
    return 1 if failed or remeasurer.lost else 0


def _run(ledger: Ledger, space: Space, plans: Sequence[Plan], console: Console) -> int:
    """Run the plans one after another; return how many failed."""
    import collections

    from gmsearch import runner
    from gmsearch.cli.live.words import name_of, outcome
    from gmsearch.records import WorkRecord

    failed = 0
    for number, plan in enumerate(plans, start=1):
        collections.deque(runner.run(plan), maxlen=0)
        (record,) = ledger.take_spool()
        assert isinstance(record, WorkRecord), "work leaves its own record"
        failed += record.failure is not None
        head = f"[{number}/{len(plans)}] {name_of(space, plan)}"
        console.say(f"{head}: {outcome(space, record)}")
    return failed


def _bands(
    usual: Bands, radii: str | None, ranges: str | None, options: Mapping[str, str | None]
) -> Bands:
    """Return the requested bands; `usual` gives every option, radius and range not requested.

    Raises:
        InputError: there is no band, a band is listed twice, or a flag does not parse.
    """
    import dataclasses

    changed: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if radii is not None or ranges is not None:
        changed["radii"] = tuple(_number("--radii", part) for part in _split_flag(radii))
        changed["ranges"] = tuple(_parse_range("--ranges", part) for part in _split_flag(ranges))
    try:
        bands: Bands = dataclasses.replace(usual, **changed)
    except FieldError as error:
        raise FlagError(*(f"--{one}" for one in error.errors)) from None
    if not bands.metrics:
        raise InputError("no bands to measure; give some, e.g. --radii 6,12")
    return bands


def _split_flag(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{flag}: expected numbers such as 6,12, got {text!r}") from None


def _parse_range(flag: str, text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise InputError(f"{flag}: expected ranges such as 4:10, got {text!r}") from None
    return low, high


def _require_possible(bands: Bands, split: str, context: RunContext) -> None:
    """Raise InputError, before anything is written, for what cannot be measured."""
    try:
        bands.require_frequencies(context.resolution)
    except FieldError as error:
        raise InputError(f"--{error}") from None
    if split == "holdout" and not context.holdout_images:
        raise InputError(
            "--split holdout: the study has no holdout images, since data.holdout is 0"
        )
