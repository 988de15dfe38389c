"""`gmsearch measure`: more bands, a split or a protocol for finished trials, without training."""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gmsearch.cli.live import name_of, outcome
from gmsearch.cli.read import study_folder
from gmsearch.cli.run import INTERRUPTED, signals_as_interrupts
from gmsearch.driver import Measures, require_same_data, start_record
from gmsearch.driver.preflight import RunContext, inspect_run
from gmsearch.errors import FieldError, InputError
from gmsearch.experiment import Bands, Plan
from gmsearch.ledger import Ledger
from gmsearch.space import Space
from gmsearch.spacefile import load_space


def measure_study(
    study: str,
    *,
    radii: str | None,
    ranges: str | None,
    options: Mapping[str, str | None],
    split: str,
    data_root: Path | None,
) -> int:
    """Measure what finished trials lack of the bands asked for; return the exit code."""
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    logging.basicConfig(format="gmsearch: %(message)s", level=logging.WARNING)
    folder = study_folder(study)
    path = folder / "space.yaml"
    space = load_space(path, data_root=data_root)
    bands = _bands(space.bands, radii, ranges, options)
    context = inspect_run(space, path)
    _require_possible(bands, split, context)
    try:
        with signals_as_interrupts(), Ledger.open(folder, space.study, space.digest) as ledger:
            require_same_data(ledger, context)
            return _measure(ledger, space, context, bands, split=split, console=console)
    except KeyboardInterrupt:
        console.print(
            "interrupted; what was measured is kept, and the same command goes on from there"
        )
        return INTERRUPTED


def _measure(
    ledger: Ledger,
    space: Space,
    context: RunContext,
    bands: Bands,
    *,
    split: str,
    console: Console,
) -> int:
    run = len(ledger.records.runs) + 1
    measures = Measures(space, context, ledger.records, ledger.folder)
    plans = measures.plans(ledger.records.trials.values(), bands, [split], run=run)
    if plans:
        start = {"record": "run", "run": run, **start_record(space, context, "measure")}
        failed = _run(ledger, space, plans, start, console)
        done = len(plans) - failed
        console.print(f"{space.study}: {done} trials measured; `gmsearch report` shows them")
    else:
        failed = 0
        finished = "nothing to do, every finished trial has these measurements"
        console.print(
            f"{space.study}: {'no trial could be measured' if measures.lost else finished}"
        )
    for key, path in measures.lost.items():
        console.print(
            f"{key}: its weights are gone: {path}; restore the file, or train the trial again "
            "in a study of another name"
        )
    return 1 if failed or measures.lost else 0


def _run(
    ledger: Ledger, space: Space, plans: Sequence[Plan], start: dict[str, object], console: Console
) -> int:
    """Run the plans one after another; return how many failed."""
    from gmsearch import runner

    ledger.append(start)
    failed = 0
    for number, plan in enumerate(plans, start=1):
        collections.deque(runner.run(plan), maxlen=0)
        (record,) = ledger.take_spool()
        failed += "failure" in record
        head = f"[{number}/{len(plans)}] {name_of(space, plan)}"
        console.print(f"{head}: {outcome(space, record)}")
    return failed


def _bands(
    usual: Bands, radii: str | None, ranges: str | None, options: Mapping[str, str | None]
) -> Bands:
    """Return what is asked for; the study's own radii and ranges where neither is given."""
    changed: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if radii is not None or ranges is not None:
        changed["radii"] = tuple(_numbers("--radii", radii or "", ","))
        parts = [part for part in (ranges or "").split(",") if part]
        changed["ranges"] = tuple(_pair(part) for part in parts)
    bands: Bands = dataclasses.replace(usual, **changed)
    if not bands.metrics:
        raise InputError("there are no bands to measure; name some, such as --radii 6,12")
    for name, times in collections.Counter(bands.metrics).items():
        if times > 1:
            raise InputError(f"{name} is asked for {times} times; name each radius and range once")
    return bands


def _numbers(flag: str, text: str, separator: str) -> list[float]:
    try:
        return [float(part) for part in text.split(separator) if part]
    except ValueError:
        raise InputError(f"{flag}: {text!r} is not a list such as 6,12 or 4:10") from None


def _pair(text: str) -> tuple[float, float]:
    numbers = _numbers("--ranges", text, ":")
    if len(numbers) != 2:
        raise InputError(f"--ranges: {text!r} is not a range such as 4:10")
    return numbers[0], numbers[1]


def _require_possible(bands: Bands, split: str, context: RunContext) -> None:
    """Refuse, before anything is written, what no evaluation could do."""
    try:
        bands.require_frequencies(context.resolution)
    except FieldError as error:
        raise InputError(f"--{error}") from None
    if split == "holdout" and not context.holdout_images:
        raise InputError("--split holdout: the data of this study have none (data.holdout is 0)")
