"""The commands and their flags; each imports what it needs when it is called.

Flags say where and how much; what can change a result stands in the space file.
Exit codes: 0 done; 1 ran, but some trials failed; 2 bad input; 130 interrupted.
"""

from __future__ import annotations

import enum
import io
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gmsearch import __version__
from gmsearch.errors import GmsearchError, InputError

app = typer.Typer(
    name="gmsearch",
    help="Search and ablate gated image classifiers: accuracy by frequency band, against cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes around the help would cost three quarters of its time
)

SpaceFile = Annotated[
    Path, typer.Argument(metavar="SPACE", help="The space file, such as spaces/x.yaml.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the images; stands before GMSEARCH_DATA and the file's root."),
]
Study = Annotated[
    str | None,
    typer.Argument(help="Name of a study under studies/; without one, the study run last."),
]


class Engine(enum.StrEnum):
    """What runs the trials."""

    RAY = "ray"
    SERIAL = "serial"


class Mode(enum.StrEnum):
    """How a network is run when it is timed."""

    EAGER = "eager"
    COMPILED = "compiled"
    GRAPH = "graph"


class Dtype(enum.StrEnum):
    """In which type a network is timed."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@app.command()
def run(
    space: SpaceFile,
    *,
    engine: Annotated[
        Engine, typer.Option(help="ray: several trials at once; serial: in this process.")
    ] = Engine.RAY,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at once; by default as many as CPUs or GPUs allow."),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Train every candidate, or go on with it.

    A study that was interrupted continues; one that is finished trains nothing.
    """
    from gmsearch.cli.run import run_space

    raise typer.Exit(run_space(space, engine.value, workers, data_root))


@app.command()
def report(
    study: Study = None,
    *,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="The front over the objectives.")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Every arm against the baseline.")
    ] = False,
    curves: Annotated[bool, typer.Option("--curves", help="Metrics against epochs.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to write; by default reports/STUDY.")
    ] = None,
) -> None:
    """Turn a study into tables and figures.

    Without a flag, into all it can give.
    """
    from gmsearch.cli.read import report_study

    report_study(study, out, pareto=pareto, ablation=ablation, curves=curves)


@app.command()
def check(space: SpaceFile, *, data_root: DataRoot = None) -> None:
    """Validate a space file, count its trials.

    Prints the number of candidates and trials and the range of the candidates' cost.
    """
    from gmsearch.cli.check import check_space

    check_space(space, data_root)


@app.command()
def profile(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Presets, models of timm, or space files (*.yaml)."
        ),
    ],
    *,
    resolution: Annotated[
        int | None, typer.Option(min=1, help="Pixels; by default a space file's images, or 224.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="By default a space file's data's, or 1000.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N; by default a GPU if there is one.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of an operator.")] = 1,
    batch_size: Annotated[
        list[int] | None, typer.Option(min=1, help="Images at once; may be repeated; 1.")
    ] = None,
    mode: Annotated[
        list[Mode] | None, typer.Option(help="How it is run; may be repeated; eager.")
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of weights and images.")] = Dtype.FLOAT32,
    timing: Annotated[
        bool, typer.Option("--timing/--no-timing", help="Latencies, or costs alone.")
    ] = True,
    by_kind: Annotated[
        bool, typer.Option("--by-kind", help="Costs by kind of layer; always for one network.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a row per network here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything measured here.")] = None,
) -> None:
    """Compare networks in cost and latency, without training.

    Latencies are measured beside a reference network; nothing else should run meanwhile.
    """
    from gmsearch.cli.profile import Request
    from gmsearch.cli.profile import profile as profile_networks
    from gmsearch.experiment import TimingCondition

    conditions = [
        TimingCondition(batch_size=size, mode=one.value, dtype=dtype.value)
        for one in mode or [Mode.EAGER]
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


@app.command()
def measure(
    study: Annotated[str, typer.Argument(help="Name of a study under studies/.")],
    *,
    radii: Annotated[
        str | None,
        typer.Option(
            help="Such as 6,12; the study's own where neither these nor ranges are given."
        ),
    ] = None,
    ranges: Annotated[str | None, typer.Option(help="Bands between radii, such as 4:10.")] = None,
    edge: Annotated[
        Literal["lt", "le"] | None, typer.Option(help="Whether a bin at r is high or low.")
    ] = None,
    rescale: Annotated[
        Literal["none", "max"] | None, typer.Option(help="Divide images by their maximum.")
    ] = None,
    dc: Annotated[
        Literal["dataset_mean", "drop", "image_mean"] | None,
        typer.Option(help="What images get in place of a lost mean."),
    ] = None,
    boundary: Annotated[
        Literal["periodic", "mirror"] | None, typer.Option(help="How images go on at the edge.")
    ] = None,
    bn: Annotated[
        Literal["keep", "reestimate"] | None, typer.Option(help="Batch-norm statistics.")
    ] = None,
    split: Annotated[
        Literal["evaluation", "holdout"], typer.Option(help="Which images.")
    ] = "evaluation",
    data_root: DataRoot = None,
) -> None:
    """Measure finished trials on more bands.

    From the weights they left, without training. What is not given is as in the study.
    """
    from gmsearch.cli.measure import measure_study

    raise typer.Exit(
        measure_study(
            study,
            radii=radii,
            ranges=ranges,
            options={"edge": edge, "rescale": rescale, "dc": dc, "boundary": boundary, "bn": bn},
            split=split,
            data_root=data_root,
        )
    )


@app.command("list")
def list_() -> None:
    """List the studies of this folder."""
    from gmsearch.cli.read import list_studies

    list_studies()


@app.command()
def show(
    study: Annotated[str, typer.Argument(help="Name of a study under studies/.")],
    trial: Annotated[
        str | None, typer.Argument(help="Key of a trial, or its beginning; without, all trials.")
    ] = None,
) -> None:
    """Show the trials of a study, or one trial in full."""
    from gmsearch.cli.read import show_trial, show_trials

    if trial is None:
        show_trials(study)
    else:
        show_trial(study, trial)


@app.command()
def schema() -> None:
    """Print the JSON Schema of space files.

    For editors that complete and check them.
    """
    from gmsearch.cli.check import print_schema

    print_schema()


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"gmsearch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    """Search and ablate gated image classifiers: accuracy by frequency band, against cost."""


def main() -> None:
    """Run the command line; turn what gmsearch raises into lines and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our signs gets a `?`
    try:
        app()
    except InputError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except GmsearchError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
