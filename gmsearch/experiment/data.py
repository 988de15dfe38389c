"""Which images are trained and measured on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.checks import is_int, is_number, one_of
from gmsearch.errors import FieldError
from gmsearch.experiment.recipe import Recipe
from gmsearch.limits import build, require

Pixel = tuple[float, float, float]

IMAGENET_MEAN: Pixel = (0.485, 0.456, 0.406)
IMAGENET_STD: Pixel = (0.229, 0.224, 0.225)
"""What every published ImageNet recipe normalises by (timm.data.IMAGENET_DEFAULT_MEAN, _STD)."""
UNSEEKABLE = ("hfids", "tfds", "wds")
"""Prefixes of timm's data sets that come in an order of their own, one image after another."""


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
    stream: Literal[False] = False
    """Whether images are decoded anew in every epoch; folder and parquet can be."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Streamed:
    """A labelled image set on disk that is decoded anew in every epoch, as ImageNet must be."""

    name: Literal["folder", "parquet", "timm"]
    root: str
    """Absolute path of the folder."""
    resolution: int
    """Side in pixels of what the network is given."""
    dataset: str | None = None
    """Of timm: what `timm.data.create_dataset` takes, such as `torch/imagenet` or `hfds/NAME`."""
    splits: tuple[str, str] = ("train", "validation")
    """Of timm: the names of the training and the evaluation split."""
    crop_pct: float = 0.875
    """Evaluation images: the shorter side is resized (antialiased bicubic; smaller images are
    enlarged) to resolution / crop_pct, rounded down, then the centre is cropped. At 1 this is what
    images in memory get."""
    mean: Pixel = IMAGENET_MEAN
    """Taken off the pixels, per channel, in 0..1; images in memory are measured instead."""
    std: Pixel = IMAGENET_STD
    """What they are divided by."""
    holdout: float = 0.1
    """Share of the training split that selection sees; stratified, fixed by the identity."""
    stream: Literal[True] = True

    def __post_init__(self) -> None:
        """Check every value; a file tells the same with its line."""
        one_of(self.name, ("folder", "parquet", "timm"), "name")
        require(self.stream is True, "stream", "false; such data would be read into memory")
        whole = is_int(self.resolution) and self.resolution > 0
        require(whole, "resolution", f"{self.resolution!r} is not a positive integer")
        share = is_number(self.crop_pct) and 0 < self.crop_pct <= 1
        require(share, "crop_pct", f"{self.crop_pct!r} is not in (0, 1]")
        for name in ("mean", "std"):
            pixel = getattr(self, name)
            inside = len(pixel) == 3 and all(is_number(value) for value in pixel)
            require(inside, name, f"{pixel!r} is not a number for each of three channels")
        require(min(self.std) > 0, "std", f"{self.std!r} is not above 0 in every channel")
        self._check_timm()

    def _check_timm(self) -> None:
        if self.name != "timm":
            given = self.dataset is not None or self.splits != ("train", "validation")
            require(not given, "dataset", f"is of use to timm only, not to {self.name}; remove it")
            return
        require(
            self.dataset is not None,
            "dataset",
            "is missing; give what timm.data.create_dataset takes, such as torch/imagenet",
        )
        prefix = str(self.dataset).partition("/")[0].lower()
        require(
            prefix not in UNSEEKABLE,
            "dataset",
            f"{self.dataset} comes in an order of its own, so that no holdout and no order of a "
            "seed could be had of it; take the images as hfds/, torch/, folder or parquet",
        )
        two = len(self.splits) == 2 and self.splits[0] != self.splits[1]
        require(two, "splits", f"{self.splits!r} are not two splits; name two")


DataSpec = Spectral | Stored | Streamed


def data_from(tree: Mapping[str, Any]) -> DataSpec:
    """Build a data spec from what `plain` returned for one."""
    cls = Spectral if tree["name"] == "spectral" else Streamed if tree.get("stream") else Stored
    spec: DataSpec = build(cls, tree)
    return spec


def require_applicable(recipe: Recipe, data: DataSpec) -> None:
    """Raise FieldError where a recipe asks for what is not done to such images."""
    if not isinstance(data, Streamed) and recipe.auto_augment is not None:
        raise FieldError(
            "auto_augment",
            f"{recipe.auto_augment} works on images as they are decoded, and {data.name} lives in "
            "memory; set it to none, or stream a folder or Parquet files (`stream: true`)",
        )
