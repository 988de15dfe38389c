"""How much `gpu.py` measures: all of it on a GPU, or the least that takes every path."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import subjects
from torch import nn

from gmsearch.experiment import TimingCondition, TimingMode
from gmsearch.networks import OwnNetwork, candidate_from

RES18 = candidate_from({"preset": "res18", "stem": "cifar"})
SMALL = subjects.small_candidate()
S3 = candidate_from({"preset": "gmnet_s3"})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """What is trained, and on how much."""

    candidate: OwnNetwork
    size: int
    """Of the images, in pixels."""
    images: int
    """Of an epoch."""
    batch_size: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much is measured, and where."""

    device: str
    networks: dict[str, Network]
    modes: tuple[str, ...]
    """Of torch.compile, as recipes name them."""
    matrix: int
    """Side of the square matrices."""
    processes: tuple[int, ...]
    bands: dict[str, tuple[Callable[[], nn.Module], int, int, int]]
    """Network, image size, images, images at once."""
    presets: tuple[str, ...]
    resolution: int
    """Of the latency."""
    conditions: tuple[TimingCondition, ...]
    repeats: int


def full(device: str) -> Scale:
    """Return what a GPU is measured with."""
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
        processes=(1, 2, 4),
        bands={
            "Res18": (functools.partial(subjects.network, RES18), 32, 10_000, 250),
            "gmnet_s3": (s3, 224, 500, 250),
        },
        presets=("gmnet_s1", "gmnet_s2", "gmnet_s3", "gmnet_s4", "res18", "mobilenetv2"),
        resolution=224,
        conditions=tuple(TimingCondition(batch_size=b, mode=m) for b in (1, 64) for m in modes),
        repeats=7,
    )


def quick(device: str) -> Scale:
    """Return the least that takes every path."""
    return Scale(
        device=device,
        networks={"small net": Network(candidate=SMALL, size=32, images=64, batch_size=32)},
        modes=("none",),
        matrix=128,
        processes=(1, 2),
        bands={"small net": (subjects.small, 32, 40, 20)},
        presets=("gmnet_s1",),
        resolution=32,
        conditions=(TimingCondition(),),
        repeats=1,
    )
