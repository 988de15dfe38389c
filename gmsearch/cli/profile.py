"""`gmsearch profile`: cost and latency of presets, timm models and the candidates of a space."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gmsearch.errors import FieldError, GmsearchError, InputError

if TYPE_CHECKING:
    from gmsearch.cli.console import Console
    from gmsearch.cli.profile_text import ProfiledNetwork
    from gmsearch.experiment import TimingCondition
    from gmsearch.networks import Candidate, Cost
    from gmsearch.space import Space

_RESOLUTION = 224
_CLASSES = 1000
_MAX_OF_A_SPACE = 32


class ExecutionMode(enum.StrEnum):
    """Execution mode of a timed network; Typer repeats a flag only for an enumeration."""

    EAGER = "eager"
    COMPILED = "compiled"
    GRAPH = "graph"


def profile(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Presets, timm models or space files (*.yaml)."),
    ],
    *,
    resolution: Annotated[
        int | None,
        typer.Option(min=1, help="Image size in pixels; defaults to the space's, or 224."),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(min=1, help="Number of classes; defaults to the space's, or 1000."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda or cuda:N; defaults to a GPU if there is one."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads per operator.")] = 1,
    batch_size: Annotated[
        list[int] | None, typer.Option(min=1, help="Batch size; repeatable (default 1).")
    ] = None,
    mode: Annotated[
        list[ExecutionMode] | None,
        typer.Option(help="Execution mode; repeatable (default eager)."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Type of weights and images.")
    ] = "float32",
    timing: Annotated[
        bool, typer.Option("--timing/--no-timing", help="Measure latencies, or costs only.")
    ] = True,
    by_kind: Annotated[
        bool,
        typer.Option("--by-kind", help="Print costs by kind of layer (always for one network)."),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write one row per network here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all measurements here.")] = None,
) -> None:
    """Compare the cost and latency of networks, without training.

    A reference network is timed along with them. Run nothing else meanwhile.
    """
    from gmsearch.experiment import TimingCondition

    conditions = [
        TimingCondition(batch_size=size, mode=one.value, dtype=dtype)
        for one in mode or [ExecutionMode.EAGER]
        for size in batch_size or [1]
    ]
    request = Request(
        names=names,
        resolution=resolution,
        classes=classes,
        device=device,
        threads=threads,
        conditions=list(dict.fromkeys(conditions)) if timing else [],
        by_kind=by_kind,
        csv=csv,
        json=json,
    )
    raise typer.Exit(profile_networks(request))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The command line; None where the default depends on the networks or the machine."""

    names: Sequence[str]
    resolution: int | None
    classes: int | None
    device: str | None
    threads: int
    conditions: Sequence[TimingCondition]
    """Empty for costs only."""
    by_kind: bool
    csv: Path | None
    json: Path | None


def profile_networks(request: Request) -> int:
    """Print what the networks cost and how long they take; return the exit code.

    Raises:
        InputError: a name is neither a preset nor a space file nor a timm model, or the device
            cannot run a requested mode; raised before anything is timed.
    """
    from gmsearch.cli.console import Console
    from gmsearch.cli.profile_text import Profile, print_profile, write_csv, write_json

    for path in (request.csv, request.json):
        if path is not None and not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}; create it first")
    console = Console(stderr=True)
    candidates, resolution, classes = _candidates(request, console)
    for name, candidate in candidates.items():
        for warning in candidate.kernel_warnings(resolution):
            console.say(f"{name}: {warning}")
    networks, models = _costs(candidates, resolution, classes)
    if request.conditions:
        _time(networks, models, resolution, request, console)
    profiled = Profile(
        networks=list(networks.values()),
        resolution=resolution,
        classes=classes,
        conditions=request.conditions,
    )
    print_profile(profiled, by_kind=request.by_kind or len(networks) == 1)
    if request.csv is not None:
        write_csv(profiled, request.csv)
    if request.json is not None:
        write_json(profiled, request.json)
    return int(any(network.error for network in profiled.networks))


def _candidates(request: Request, console: Console) -> tuple[dict[str, Candidate], int, int]:
    """Return the distinct candidates by name, the resolution and the number of classes."""
    from gmsearch.cli.studies import announces
    from gmsearch.networks import PRESETS, TimmSpec, candidate_from
    from gmsearch.spacefile import load_space

    named: dict[str, Candidate] = {}
    sizes: dict[tuple[int, int], str] = {}
    for name in request.names:
        if name in PRESETS:
            named[name] = candidate_from({"preset": name})
        elif name.endswith((".yaml", ".yml")):
            space = load_space(Path(name), announce=announces(name))
            named |= _of_space(space, console)
            if request.resolution is None or request.classes is None:
                sizes[_network_size(space)] = name
        else:
            named[name] = TimmSpec(name=name)
    if len(sizes) > 1:
        raise InputError(
            f"{' and '.join(sizes.values())} differ in image size or classes; give both "
            "--resolution and --classes"
        )
    resolution, classes = next(iter(sizes), (_RESOLUTION, _CLASSES))
    first_names: dict[str, str] = {}
    for name, candidate in named.items():
        first_names.setdefault(candidate.digest, name)
    distinct = {name: named[name] for name in first_names.values()}
    return distinct, request.resolution or resolution, request.classes or classes


def _of_space(space: Space, console: Console) -> dict[str, Candidate]:
    """Return the candidates of a space by label; random ones of a large space."""
    import random

    if not space.at_most(_MAX_OF_A_SPACE):
        count = space.count()
        total = "infinitely many" if count is None else f"{count:,}"
        console.say(f"{space.study}: {_MAX_OF_A_SPACE} random candidates of {total}")
    arms = space.some(_MAX_OF_A_SPACE, random.Random(0))
    return {space.label(assignment) or space.study: arm.candidate for assignment, arm in arms}


def _network_size(space: Space) -> tuple[int, int]:
    from gmsearch.data import load

    data = load(space.data)
    return data.resolution, len(data.classes)


def _costs(
    candidates: dict[str, Candidate], resolution: int, classes: int
) -> tuple[dict[str, ProfiledNetwork], dict[str, Any]]:
    """Build the networks and count their costs; a network that fails stores the reason."""
    from gmsearch.cli.profile_text import ProfiledNetwork
    from gmsearch.models import build

    networks: dict[str, ProfiledNetwork] = {}
    models: dict[str, Any] = {}
    for name, candidate in candidates.items():
        network = networks[name] = ProfiledNetwork(name=name, candidate=candidate)
        try:
            model = build(candidate, num_classes=classes, seed=0, resolution=resolution)
            network.cost, network.uncounted = _cost(candidate, model, resolution, classes)
        except FieldError as error:
            if error.path == "name":
                raise InputError(
                    f"{error.message} (expected a preset, a file *.yaml or a timm model)"
                ) from None
            network.error = _first_line(error)
        except Exception as error:  # noqa: BLE001 - a timm model may fail in any way
            network.error = _first_line(error)
        else:
            models[name] = model
    return networks, models


def _first_line(error: Exception) -> str:
    """Return the first line of an error, with its type unless gmsearch raised it."""
    if isinstance(error, GmsearchError):
        return str(error).splitlines()[0]
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[:1]])


def _cost(
    candidate: Candidate, model: Any, resolution: int, classes: int
) -> tuple[Cost, dict[str, int]]:
    """Return the cost, and the operators it leaves out with how often they run."""
    from gmsearch.measured_cost import measured_cost
    from gmsearch.networks import cost, is_counted

    if is_counted(candidate):
        return cost(candidate, num_classes=classes, resolution=resolution), {}
    return measured_cost(model, resolution)


def _time(
    networks: dict[str, ProfiledNetwork],
    models: dict[str, Any],
    resolution: int,
    request: Request,
    console: Console,
) -> None:
    """Time the networks in turns; a network that fails stores the reason."""
    from gmsearch.latency import time_models, usual_device

    with _step_shown(console) as watch:
        measured = time_models(
            models,
            resolution=resolution,
            device=request.device or usual_device(),
            threads=request.threads,
            conditions=request.conditions,
            watch=watch,
        )
    for name, timings in measured.items():
        network = networks[name]
        for condition, timing in timings.items():
            if isinstance(timing, Exception):
                reason = f"{condition}: {_first_line(timing)}".removeprefix(": ")
                network.error = "; ".join(filter(None, (network.error, reason)))
            else:
                network.timings[condition] = timing


@contextlib.contextmanager
def _step_shown(console: Console) -> Iterator[Callable[[str], None]]:
    """Give what shows a step on the last line of a terminal, and nothing elsewhere."""
    from rich.live import Live
    from rich.text import Text

    if not console.redraws:
        yield lambda _step: None
        return
    # Refreshed only between blocks: a drawing thread would take its share of the machine.
    with Live(
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        yield lambda step: live.update(Text(step), refresh=True)
