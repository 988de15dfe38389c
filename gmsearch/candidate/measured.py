"""What is measured on: the data set, and the bands of its images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.candidate.checks import build
from gmsearch.errors import FieldError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spectral:
    """The generated data set whose class lies partly in low, partly in high frequencies.

    Synthetic: its numbers say something about bands, nothing about photographs.
    """

    name: Literal["spectral"] = "spectral"
    resolution: int = 32
    """Height and width in pixels."""
    classes: int = 10
    train_images: int = 4096
    evaluation_images: int = 1024
    high_share: float = 0.5
    """Share of the class information that lies in the texture, above the radius of the split."""
    seed: int = 0
    """Of the generator; part of the data's identity, not of a trial's seed."""
    holdout: float = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A labelled image set on disk, small enough to live in memory as uint8."""

    name: Literal["parquet", "folder", "cifar10", "cifar100"]
    root: str
    """Absolute path of the folder."""
    resolution: int | None = None
    """Images are resized (shorter side, antialiased bicubic) and centre-cropped to this side;
    none demands that all are square and of one size."""
    holdout: float = 0.1
    """Share of the training split that selection sees; stratified, fixed by the identity."""


DataSpec = Spectral | Stored


def data_from(tree: Mapping[str, Any]) -> DataSpec:
    """Build a data spec from what `plain` returned for one."""
    spec: DataSpec = build(Spectral if tree["name"] == "spectral" else Stored, tree)
    return spec


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """Which spatial frequencies are measured, and how band images are made."""

    radii: tuple[float, ...] = ()
    """In bins of the image's DFT; low keeps d < r, high the rest."""
    ranges: tuple[tuple[float, float], ...] = ()
    """Bands a <= d < b."""
    edge: Literal["lt", "le"] = "lt"
    """Whether a bin at distance r exactly is high (lt) or low (le)."""
    rescale: Literal["none", "max"] = "none"
    """max divides each band image by its own maximum (the origin's code)."""
    dc: Literal["dataset_mean", "drop", "image_mean"] = "dataset_mean"
    """What high-pass and band images get in place of their lost mean."""
    boundary: Literal["periodic", "mirror"] = "periodic"
    every: int = 1
    """Epochs between two points of the band curves; 0 for none."""
    curves: Literal["holdout", "evaluation"] = "holdout"
    """The split the per-epoch curves are measured on."""

    def require_frequencies(self, side: int) -> None:
        """Raise FieldError where a band of images of `side` pixels would hold no frequency."""
        step = 2 if self.boundary == "mirror" else 1
        line = [i / step for i in range(side * step // 2 + 1)]
        distances = {math.hypot(row, column) for row in line for column in line}
        for radius in self.radii:
            if radius <= 0 or radius > max(distances):
                raise FieldError("radii", f"{radius:g} is {self._beyond(side)}")
        for low, high in self.ranges:
            if not any(low <= distance < high for distance in distances):
                raise FieldError("ranges", f"{low:g}:{high:g} is {self._beyond(side)}")

    @staticmethod
    def _beyond(side: int) -> str:
        farthest = math.hypot(side // 2, side // 2)
        return (
            f"beyond or between the frequencies of images of {side} px, which lie from 0 to "
            f"{farthest:.4g} bins; take others"
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the band metrics, in the order they are shown."""
        sides = [f"{side}@{radius:g}" for radius in self.radii for side in ("low", "high")]
        return (*sides, *(f"band@{low:g}:{high:g}" for low, high in self.ranges))


def bands_from(tree: Mapping[str, Any]) -> Bands:
    """Build bands from what `plain` returned for them."""
    tree = dict(tree)
    tree["ranges"] = tuple((low, high) for low, high in tree.get("ranges", ()))
    bands: Bands = build(Bands, tree)
    return bands
