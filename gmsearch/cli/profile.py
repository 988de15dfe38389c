"""`gmsearch profile`: cost and latency of presets, timm models and the candidates of a space."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gmsearch.cli.profile_text import Profile, Row, print_profile, write_csv, write_json
from gmsearch.errors import FieldError, GmsearchError, InputError
from gmsearch.experiment import TimingCondition
from gmsearch.networks import PRESETS, Candidate, Cost, TimmSpec, candidate_from, cost, is_counted
from gmsearch.space import Space
from gmsearch.spacefile import load_space

INTERRUPTED = 130
_RESOLUTION = 224
_CLASSES = 1000
_OF_A_SPACE = 32


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked for on the command line; None where the default depends."""

    names: Sequence[str]
    resolution: int | None
    classes: int | None
    device: str | None
    threads: int
    conditions: Sequence[TimingCondition]
    """Empty for costs alone."""
    by_kind: bool
    csv: Path | None
    json: Path | None


def profile(request: Request) -> int:
    """Print what the networks cost and how long they take; return the exit code.

    Raises:
        InputError: for a name that is neither preset, nor space file, nor model of timm, or a
            device that cannot do what is asked; before anything is timed.
    """
    for path in (request.csv, request.json):
        if path is not None and not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    console = Console(stderr=True, highlight=False, markup=False)
    candidates, resolution, classes = _candidates(request, console)
    for name, candidate in candidates.items():
        for warning in candidate.kernel_warnings(resolution):
            console.print(f"{name}: {warning}")
    rows, models = _costs(candidates, resolution, classes)
    try:
        if request.conditions:
            _time(rows, models, resolution, request, console)
    except KeyboardInterrupt:
        console.print("interrupted; nothing was kept")
        return INTERRUPTED
    found = Profile(
        rows=list(rows.values()),
        resolution=resolution,
        classes=classes,
        conditions=request.conditions,
    )
    print_profile(found, by_kind=request.by_kind or len(rows) == 1)
    if request.csv is not None:
        write_csv(found, request.csv)
    if request.json is not None:
        write_json(found, request.json)
    return int(any(row.error for row in found.rows))


def _candidates(request: Request, console: Console) -> tuple[dict[str, Candidate], int, int]:
    """Return the distinct candidates by name, the resolution and the number of classes."""
    found: dict[str, Candidate] = {}
    sizes: dict[tuple[int, int], str] = {}
    for name in request.names:
        if name in PRESETS:
            found[name] = candidate_from({"preset": name})
        elif name.endswith((".yaml", ".yml")):
            space = load_space(Path(name))
            found |= _of_space(space, console)
            if request.resolution is None or request.classes is None:
                sizes[_size(space)] = name
        else:
            found[name] = TimmSpec(name=name)
    if len(sizes) > 1:
        raise InputError(
            f"{' and '.join(sizes.values())} have images of other sizes or classes; say both with "
            "--resolution and --classes"
        )
    resolution, classes = next(iter(sizes), (_RESOLUTION, _CLASSES))
    distinct: dict[str, str] = {}
    for name, candidate in found.items():
        distinct.setdefault(candidate.digest, name)
    kept = {name: found[name] for name in distinct.values()}
    return kept, request.resolution or resolution, request.classes or classes


def _of_space(space: Space, console: Console) -> dict[str, Candidate]:
    """Return the candidates of a space by label; random ones of a large space."""
    if not space.at_most(_OF_A_SPACE):
        count = space.count()
        console.print(
            f"{space.study}: {_OF_A_SPACE} random candidates of "
            f"{'infinitely many' if count is None else f'{count:,}'}"
        )
    chosen = space.some(_OF_A_SPACE, random.Random(0))
    return {space.label(assignment) or space.study: arm.candidate for assignment, arm in chosen}


def _size(space: Space) -> tuple[int, int]:
    from gmsearch.data import load

    data = load(space.data)
    return data.resolution, len(data.classes)


def _costs(
    candidates: dict[str, Candidate], resolution: int, classes: int
) -> tuple[dict[str, Row], dict[str, Any]]:
    """Build the torch modules and count them; one that fails is a row with the reason."""
    from gmsearch.models import build

    rows: dict[str, Row] = {}
    models: dict[str, Any] = {}
    for name, candidate in candidates.items():
        rows[name] = Row(name=name, candidate=candidate)
        try:
            model = build(candidate, num_classes=classes, seed=0)
            rows[name].cost, rows[name].uncounted = _cost(candidate, model, resolution, classes)
        except FieldError as error:
            if error.path == "name":
                raise InputError(
                    f"{error.message} (a name is a preset, a file *.yaml, or a model of timm)"
                ) from None
            rows[name].error = _line(error)
        except Exception as error:  # noqa: BLE001 - a network of timm may fail in any way
            rows[name].error = _line(error)
        else:
            models[name] = model
    return rows, models


def _line(error: Exception) -> str:
    """Return the first line of what a network raised."""
    if isinstance(error, GmsearchError):
        return str(error).splitlines()[0]
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[:1]])


def _cost(
    candidate: Candidate, model: Any, resolution: int, classes: int
) -> tuple[Cost, dict[str, int]]:
    from gmsearch.measured_cost import measured_cost

    if is_counted(candidate):
        return cost(candidate, num_classes=classes, resolution=resolution), {}
    return measured_cost(model, resolution)


def _time(
    rows: dict[str, Row],
    models: dict[str, Any],
    resolution: int,
    request: Request,
    console: Console,
) -> None:
    """Time the networks in turns; what fails leaves its reason in the row."""
    from gmsearch.latency import measure_each, usual_device

    # Refreshed between blocks alone: a thread that draws would take its share of the machine.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        measured = measure_each(
            models,
            resolution=resolution,
            device=request.device or usual_device(),
            threads=request.threads,
            conditions=request.conditions,
            watch=lambda step: live.update(Text(step), refresh=True),
        )
    for name, timings in measured.items():
        for condition, timing in timings.items():
            if isinstance(timing, Exception):
                said = f"{condition}: {_line(timing)}".removeprefix(": ")
                rows[name].error = "; ".join(filter(None, (rows[name].error, said)))
            else:
                rows[name].timings[condition] = timing
