"""Data sets as plain data: which images are trained and measured on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from gmsearch.errors import FieldError
from gmsearch.experiment.recipe import Recipe
from gmsearch.limits import (
    Limit,
    Positive,
    PositiveNumber,
    Probability,
    Seed,
    Share,
    Text,
    broken,
    check,
    instance_from,
)
from gmsearch.tables import Table
from gmsearch.wording import spelled

Rule = tuple[bool, str, str]
"""A rule across fields as `limits.check` takes it: whether it holds, field, message."""
RootFolder = Annotated[str, Text(pattern=r"[^\x00]+", words="the path of a folder")]
Tone = Annotated[float, Limit(ge=0, le=1)]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Normalisation of published ImageNet recipes (timm.data.IMAGENET_DEFAULT_MEAN, _STD)."""
UNSEEKABLE = ("hfids", "tfds", "wds")
"""Prefixes of timm's data sets that can only be read in their own order."""

_ONLY_STREAMED = {"crop_pct": 0.875, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
_ONLY_TIMM = {"dataset": None, "splits": ["train", "validation"]}
"""Part of the plain form of every streamed set, though only timm's sets use these keys."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """What is done to a streamed image before it reaches the network."""

    resolution: Positive
    """Height and width in pixels of the network's input."""
    crop_pct: Annotated[float, Limit(gt=0, le=1)] = 0.875
    mean: tuple[Tone, Tone, Tone] = IMAGENET_MEAN
    std: tuple[PositiveNumber, PositiveNumber, PositiveNumber] = IMAGENET_STD

    def __post_init__(self) -> None:
        """Check the limits of every field."""
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataSpec:
    """Fields that every data set has."""

    synthetic: ClassVar[bool] = False
    """Whether the images are generated, so that results say nothing about photographs."""
    side: ClassVar[int | None] = None
    """Height and width in pixels where no resolution is given; None where it depends on the
    files."""

    name: str
    holdout: Share = 0.1
    """Share of the training split held out for selection; stratified, the same for
    the same data."""

    def __post_init__(self) -> None:
        """Check the limits of every field, and the rules across fields."""
        check(self, *self.rules())

    def rules(self) -> Iterable[Rule]:
        """Return the rules across fields."""
        return ()

    @property
    def streamed(self) -> bool:
        """Whether images are decoded anew in every epoch, rather than once into memory."""
        return False

    @property
    def place(self) -> str:
        """Where the images come from, for messages."""
        return self.name


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spectral(DataSpec):
    """Generated images whose class is carried partly by low, partly by high frequencies.

    Synthetic: its numbers say something about bands, nothing about photographs.
    """

    synthetic: ClassVar[bool] = True

    name: Literal["spectral"] = "spectral"
    resolution: Annotated[int, Limit(ge=8)] = 32
    """Height and width in pixels."""
    classes: Annotated[int, Limit(ge=2)] = 10
    """Number of classes, equally frequent."""
    train_images: Positive = 4096
    """Images of the training split, the holdout included."""
    evaluation_images: Positive = 1024
    """Images of the evaluation split."""
    high_share: Probability = 0.5
    """Share of the class information carried by the texture, above the radius of the split."""
    seed: Seed = 0
    """Seed of the generator; part of the data's identity, unrelated to a trial's seed."""

    def rules(self) -> Iterable[Rule]:
        """Require an image of every class in both splits."""
        wrong = broken(self)
        for split in ("train_images", "evaluation_images"):
            count = getattr(self, split)
            yield (
                bool(wrong & {split, "classes"}) or count >= self.classes,
                split,
                f"expected at least {self.classes} images, one per class, got {count}",
            )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImagesOnDisk(DataSpec):
    """Labelled images in files."""

    root: RootFolder
    """Absolute path of the folder."""
    resolution: Positive | None = None
    """Images are resized (shorter side, antialiased bicubic) and centre-cropped to this side;
    none keeps their size, which must then be square and the same for all."""
    stream: bool = False
    """Whether images are decoded anew in every epoch, as large sets must be; otherwise they are
    decoded once and kept in memory as uint8."""

    @property
    def streamed(self) -> bool:
        """Whether images are decoded anew in every epoch, rather than once into memory."""
        return self.stream

    @property
    def place(self) -> str:
        """Folder of the images."""
        return self.root


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cifar10(ImagesOnDisk):
    """CIFAR-10, downloaded by torchvision unless it is in the root folder."""

    side: ClassVar[int | None] = 32

    name: Literal["cifar10"] = "cifar10"
    stream: Literal[False] = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cifar100(ImagesOnDisk):
    """CIFAR-100, downloaded by torchvision unless it is in the root folder."""

    side: ClassVar[int | None] = 32

    name: Literal["cifar100"] = "cifar100"
    stream: Literal[False] = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StreamableImages(ImagesOnDisk):
    """Labelled images in files that may be too large for memory."""

    crop_pct: Annotated[float, Limit(gt=0, le=1)] = 0.875
    """Evaluation images: the shorter side is resized (antialiased bicubic; smaller images are
    enlarged) to resolution / crop_pct, rounded down, then the centre is cropped. At 1 the result
    equals that of images in memory (streamed images only)."""
    mean: tuple[Tone, Tone, Tone] = IMAGENET_MEAN
    """Subtracted from the pixels, per channel, in 0..1 (streamed images only; the mean of images
    in memory is measured)."""
    std: tuple[PositiveNumber, PositiveNumber, PositiveNumber] = IMAGENET_STD
    """Divides the pixels, per channel (streamed images only)."""

    def rules(self) -> Iterable[Rule]:
        """Require a resolution of streamed images, and only defaults of others."""
        if self.stream:
            yield self.resolution is not None, "resolution", "is missing; streamed images need it"
            return
        for key, default in _ONLY_STREAMED.items():
            yield (
                getattr(self, key) == default,
                key,
                "is only used by streamed images; add `stream: true`, or remove it",
            )

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to a streamed image before it reaches the network."""
        assert self.resolution is not None, "only streamed images are preprocessed"
        return Preprocessing(
            resolution=self.resolution, crop_pct=self.crop_pct, mean=self.mean, std=self.std
        )

    def plain_fields(self) -> dict[str, Any]:
        """Return the fields that affect the images, which digests are computed from."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.stream:
            return {**_ONLY_TIMM, **own}
        return {key: value for key, value in own.items() if key not in _ONLY_STREAMED}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FolderImages(StreamableImages):
    """Images in class folders, or in tars of them."""

    name: Literal["folder"] = "folder"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParquetImages(StreamableImages):
    """Images in Parquet files as the Hugging Face hub ships them."""

    name: Literal["parquet"] = "parquet"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimmImages(StreamableImages):
    """Images that `timm.data.create_dataset` opens; always streamed."""

    name: Literal["timm"] = "timm"
    resolution: Positive
    """Height and width in pixels of the network's input."""
    stream: Literal[True] = True
    dataset: Annotated[
        str,
        Text(
            pattern=r"[^\x00]+",
            words="what timm.data.create_dataset takes, such as torch/imagenet",
        ),
    ]
    """Data set as `timm.data.create_dataset` takes it, such as `torch/imagenet` or `hfds/NAME`."""
    splits: tuple[str, str] = ("train", "validation")
    """Names of the training and the evaluation split."""

    def rules(self) -> Iterable[Rule]:
        """Require two splits, and a data set that can be read in any order."""
        wrong = broken(self)
        prefix = str(self.dataset).partition("/")[0].lower()
        yield (
            prefix not in UNSEEKABLE,
            "dataset",
            (
                f"{self.dataset} can only be read in its own order, which allows neither a "
                "holdout nor a seeded order; take the images as hfds/, torch/, folder or parquet"
            ),
        )
        yield (
            "splits" in wrong or self.splits[0] != self.splits[1],
            "splits",
            f"expected two different splits, got {spelled(self.splits)}",
        )


DATA_SPECS: Table[type[DataSpec]] = Table(
    "name",
    {
        "spectral": Spectral,
        "parquet": ParquetImages,
        "folder": FolderImages,
        "cifar10": Cifar10,
        "cifar100": Cifar100,
        "timm": TimmImages,
    },
)
"""Class of the spec of every data set; `gmsearch.data.formats` has a reader for each."""


def data_from(tree: Mapping[str, Any]) -> DataSpec:
    """Build a data spec from what `plain` returned for one.

    Raises:
        FieldError: for an unknown data set, and for every value outside its limits.
    """
    cls = DATA_SPECS[tree["name"]]
    known = {field.name for field in dataclasses.fields(cls)}
    unused = {key for key, value in _ONLY_TIMM.items() if tree.get(key) == value} - known
    spec: DataSpec = instance_from(cls, {key: tree[key] for key in tree if key not in unused})
    return spec


def require_applicable(recipe: Recipe, data: DataSpec) -> None:
    """Raise FieldError where a recipe has an augmentation that these images do not support."""
    if not data.streamed and recipe.auto_augment is not None:
        raise FieldError(
            "auto_augment",
            f"{recipe.auto_augment} is applied to images as they are decoded, but {data.name} is "
            "kept in memory; set it to none, or stream a folder or Parquet files "
            "(`stream: true`)",
        )
