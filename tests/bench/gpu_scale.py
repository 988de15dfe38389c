"""Scales of `gpu.py`: about five minutes, everything, or the least that runs every path."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import subjects
from torch import nn

from gmsearch.experiment import TimingCondition, TimingMode
from gmsearch.networks import Candidate, candidate_from

RES18 = candidate_from({"preset": "res18", "stem": "cifar"})
SMALL = subjects.small_candidate()
S3 = candidate_from({"preset": "gmnet_s3"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """What is trained, and on how much."""

    candidate: Candidate
    size: int
    """Side of the images in pixels."""
    images: int
    """Images of an epoch."""
    batch_size: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much is measured, and where."""

    device: str
    networks: dict[str, Network]
    modes: tuple[str, ...]
    """Modes of torch.compile, as recipes name them."""
    matrix: int
    """Side of the square matrices."""
    shared: tuple[str, ...]
    """Networks that are trained side by side."""
    processes: tuple[int, ...]
    """Numbers of trials side by side."""
    bands: dict[str, tuple[Callable[[], nn.Module], int, int, int]]
    """Network, image size, images, images at once."""
    presets: tuple[str, ...]
    resolution: int
    """Side in pixels of the images that are timed."""
    conditions: tuple[TimingCondition, ...]
    repeats: int


def full(device: str) -> Scale:
    """Return every preset, mode and condition."""
    modes: tuple[TimingMode, ...] = ("eager", "compiled", "graph")
    s3 = functools.partial(subjects.preset, "gmnet_s3")
    return Scale(
        device=device,
        networks={
            "Res18": Network(candidate=RES18, size=32, images=50 * 512, batch_size=512),
            "small net": Network(candidate=SMALL, size=32, images=50 * 512, batch_size=512),
            "gmnet_s3": Network(candidate=S3, size=224, images=10 * 128, batch_size=128),
        },
        modes=("none", "default", "reduce-overhead"),
        matrix=8192,
        shared=("Res18", "small net", "gmnet_s3"),
        processes=(1, 2, 4),
        bands={
            "Res18": (functools.partial(subjects.network, RES18), 32, 10_000, 250),
            "gmnet_s3": (s3, 224, 64, 64),  # the origin's way takes 0.1 s an image on a CPU
        },
        presets=("gmnet_s1", "gmnet_s2", "gmnet_s3", "gmnet_s4", "res18", "mobilenetv2"),
        resolution=224,
        conditions=tuple(TimingCondition(batch_size=b, mode=m) for b in (1, 64) for m in modes),
        repeats=7,
    )


def usual(device: str) -> Scale:
    """Return what takes about five minutes on one H100."""
    scale = full(device)
    modes: tuple[TimingMode, ...] = ("eager", "graph", "compiled")
    return dataclasses.replace(
        scale,
        networks={
            name: dataclasses.replace(network, images=min(network.images, 20 * 512))
            for name, network in scale.networks.items()
        },
        modes=("none", "reduce-overhead"),
        shared=("small net",),
        bands={
            name: (build, size, min(images, 2000), chunk)
            for name, (build, size, images, chunk) in scale.bands.items()
        },
        presets=("gmnet_s3", "res18", "mobilenetv2"),
        conditions=tuple(TimingCondition(mode=mode) for mode in modes),
    )


def quick(device: str) -> Scale:
    """Return the least that runs every path."""
    return Scale(
        device=device,
        networks={"small net": Network(candidate=SMALL, size=32, images=64, batch_size=32)},
        modes=("none",),
        matrix=128,
        shared=("small net",),
        processes=(1, 2),
        bands={"small net": (subjects.small, 32, 40, 20)},
        presets=("gmnet_s1",),
        resolution=32,
        conditions=(TimingCondition(),),
        repeats=1,
    )
