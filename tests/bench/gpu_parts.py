"""Parts of `gpu.py`: each yields jobs, and a job returns the rows of its comparisons."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator

import bands
import profiles
import rivals
import subjects
import torch
from gpu_scale import Network, Scale
from paired import Row, Times, compared, faster, interleaved, share
from processes import Side, per_image, together
from timm.data.transforms import ToNumpy

from gmsearch.experiment import Bands, Recipe, TimingCondition
from gmsearch.latency import REFERENCE, time_models
from gmsearch.networks import cost

OURS, LOOP, MATRIX = "gmsearch", "timm's loop", "square matrix product"
MODES = {"none": "eager", "default": "compiled", "reduce-overhead": "CUDA graphs"}


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One comparison, or several that share their setup."""

    name: str
    run: Callable[[], list[Row]]


def ours(network: Network, device: str, mode: str) -> Callable[[], object]:
    """Return our epoch of training, ended when the device has ended it."""
    torch.backends.cudnn.benchmark = True  # as a trial does
    pictures, labels = subjects.pictures(network.images, network.size)
    recipe = Recipe(
        **{**subjects.RECIPE, "batch_size": network.batch_size},
        epochs=subjects.EPOCHS,
        dtype="bfloat16",
        compile=mode,
    )
    model = subjects.network(network.candidate).to(device)
    return _waited(subjects.epochs(model, pictures, labels, recipe), device)


def loop(network: Network, device: str) -> Callable[[], object]:
    """Return an epoch of timm's loop, ended when the device has ended it."""
    torch.backends.cudnn.benchmark = True  # as its script does
    pictures, labels = subjects.pictures(network.images, network.size)
    loader = rivals.prefetched(
        pictures,
        labels,
        rivals.augmenting_bytes(network.size),
        mean=subjects.MEAN,
        std=subjects.STD,
        batch_size=network.batch_size,
        device=device,
        training=True,
    )
    model = subjects.network(network.candidate).to(device)
    return _waited(rivals.epochs(model, loader, fast=True), device)


def _waited(work: Callable[[], object], device: str) -> Callable[[], None]:
    """Return the work with the device's end waited for, and nothing that a pipe cannot carry."""

    def whole() -> None:
        work()
        if device != "cpu":
            torch.cuda.synchronize(device)

    return whole


def training(scale: Scale) -> Iterator[Job]:
    """Training in every mode against timm's loop, and its share of the matrix rate."""
    for name in scale.networks:
        yield Job(name, functools.partial(_trained, scale, name))


def _trained(scale: Scale, name: str) -> list[Row]:
    network = scale.networks[name]
    rival = Side(loop, network=network, device=scale.device)
    modes = {
        f"gmsearch, {MODES[mode]}": Side(ours, network=network, device=scale.device, mode=mode)
        for mode in scale.modes
    }
    sides = {
        label: functools.partial(per_image, [side], network.images)
        for label, side in {**modes, LOOP: rival}.items()
    }
    with together(rival, *modes.values()):
        times = interleaved({**sides, MATRIX: _product(scale)}, scale.repeats)
    return [row for mine in modes for row in _training_rows(scale, name, mine, times)]


def _training_rows(scale: Scale, name: str, mine: str, times: Times) -> list[Row]:
    """Return the gain over timm's loop and the share of the matrix rate of one mode."""
    network = scale.networks[name]
    counted = cost(network.candidate, num_classes=subjects.CLASSES, resolution=network.size)
    rates = {
        mine: [6 * counted.flops / seconds / 1e12 for seconds in times[mine]],
        MATRIX: [2 * scale.matrix**3 / seconds / 1e12 for seconds in times[MATRIX]],
    }
    what = f"{name}, {network.size} px, batch {network.batch_size}"
    gain = "≥ 3" if network.size == 32 else None
    part = "≥ 0.25" if name == "Res18" else None
    return [
        faster(times, f"training, {what}", mine, LOOP, unit="images", reach=gain),
        compared(rates, f"matrix rate, {what}", mine, MATRIX, unit="TFLOP/s", reach=part),
    ]


def _product(scale: Scale) -> Callable[[], float]:
    """Return the seconds of one product of two random square bfloat16 matrices."""
    generator = torch.Generator().manual_seed(0)
    shape = (scale.matrix, scale.matrix)
    a, b = (torch.randn(shape, generator=generator).to(scale.device, torch.bfloat16) for _ in "ab")
    count = 20

    def products() -> None:
        for _ in range(count):
            a @ b

    return subjects.timed(products, count, scale.device)


def sharing(scale: Scale) -> Iterator[Job]:
    """Trials side by side on one device against one alone."""
    for name in scale.shared:
        yield Job(name, functools.partial(_shared, scale, name))


def _shared(scale: Scale, name: str) -> list[Row]:
    network = scale.networks[name]
    sides = [
        Side(ours, network=network, device=scale.device, mode="none")
        for _ in range(max(scale.processes))
    ]
    groups = {
        f"{n} at once": functools.partial(per_image, sides[:n], network.images)
        for n in scale.processes
    }
    with together(*sides):
        times = interleaved(groups, scale.repeats)
    alone, *several = groups
    what = f"trials on one device, {name}"
    return [faster(times, what, many, alone, unit="images") for many in several]


def band_evaluation(scale: Scale) -> Iterator[Job]:
    """Evaluation by band, and the making of band images."""
    for name in scale.bands:
        yield Job(name, functools.partial(_banded, scale, name))


def _banded(scale: Scale, name: str) -> list[Row]:
    build, size, count, chunk = scale.bands[name]
    what = f"{size} px, {name}"
    evaluated = interleaved(bands.evaluation(build(), count, size, scale.device), scale.repeats)
    made = interleaved(bands.making(build(), count, size, chunk, scale.device), scale.repeats)
    return [
        share(evaluated, f"band evaluation, {what}", bands.ONE_PASS, bands.SEVEN, reach="≤ 1.15"),
        faster(made, f"making band images, {what}", bands.MAKING, bands.ORIGIN, unit="images"),
        share(made, f"band images against their forwards, {what}", bands.MAKING, bands.FORWARDS),
    ]


def evaluation(scale: Scale) -> Iterator[Job]:
    """Evaluation of raw images against timm's loop."""
    for name in scale.networks:
        yield Job(name, functools.partial(_evaluated, scale, name))


def _evaluated(scale: Scale, name: str) -> list[Row]:
    torch.backends.cudnn.benchmark = True  # as a trial and timm's script do
    network = scale.networks[name]
    pictures, labels = subjects.pictures(network.images, network.size)
    loader = rivals.prefetched(
        pictures,
        labels,
        ToNumpy(),
        mean=subjects.MEAN,
        std=subjects.STD,
        batch_size=256,
        device=scale.device,
        training=False,
    )
    model = subjects.network(network.candidate).to(scale.device)
    theirs = functools.partial(rivals.validate, copy.deepcopy(model), loader)
    mine = subjects.evaluation(
        model, pictures.to(scale.device), labels.to(scale.device), Bands(), "raw"
    )
    sides = {
        OURS: subjects.timed(mine, network.images, scale.device),
        LOOP: subjects.timed(theirs, network.images, scale.device),
    }
    times = interleaved(sides, scale.repeats)
    what = f"evaluation, {name}, {network.size} px"
    return [faster(times, what, OURS, LOOP, unit="images", reach="≥ 2")]


def latency(scale: Scale) -> Iterator[Job]:
    """Every preset under every condition, interleaved with the reference network."""
    for condition in scale.conditions:
        name = f"{condition.mode}, batch {condition.batch_size}"
        yield Job(name, functools.partial(_timed, scale, condition))


def _timed(scale: Scale, condition: TimingCondition) -> list[Row]:
    timed = time_models(
        {name: subjects.preset(name) for name in scale.presets},
        resolution=scale.resolution,
        device=scale.device,
        threads=1,
        conditions=[condition],
    )
    what = f"latency, {condition.mode}, batch {condition.batch_size}, {scale.resolution} px"
    rows = []
    for name, timings in timed.items():
        timing = timings[condition]
        if isinstance(timing, Exception):
            raise timing
        times = {
            name: [ms for repeat in timing.blocks_ms for ms in repeat],
            REFERENCE: [ms for repeat in timing.reference_blocks_ms for ms in repeat],
        }
        rows.append(compared(times, what, name, REFERENCE, unit="ms"))
    return rows


def profile(scale: Scale) -> str:
    """Return what bounds an epoch of the first network, eager."""
    network = next(iter(scale.networks.values()))
    return profiles.of(ours(network, scale.device, "none"))
