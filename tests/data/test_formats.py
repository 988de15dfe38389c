"""The table of data sets: complete, extendable, and loud where a name is unknown."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gmsearch.data import FORMATS, Arrays, Format, load, stored_arrays
from gmsearch.data.formats import open_stored, open_streamed
from gmsearch.errors import DataError, FieldError
from gmsearch.experiment import (
    DATA_SPECS,
    Cifar10,
    DataSpec,
    FolderImages,
    ParquetImages,
    Spectral,
    TimmImages,
    data_from,
)
from gmsearch.plain import canonical_json, plain

MEANINGS = [
    (
        Spectral(),
        (
            '{"classes":10,"evaluation_images":1024,"high_share":0.5,"holdout":0.1,'
            '"name":"spectral","resolution":32,"seed":0,"train_images":4096}'
        ),
    ),
    (
        FolderImages(root="/x"),
        '{"holdout":0.1,"name":"folder","resolution":null,"root":"/x","stream":false}',
    ),
    (
        Cifar10(root="/x", resolution=8, holdout=0),
        '{"holdout":0,"name":"cifar10","resolution":8,"root":"/x","stream":false}',
    ),
    (
        ParquetImages(root="/x", resolution=224, stream=True),
        (
            '{"crop_pct":0.875,"dataset":null,"holdout":0.1,"mean":[0.485,0.456,0.406],'
            '"name":"parquet","resolution":224,"root":"/x","splits":["train","validation"],'
            '"std":[0.229,0.224,0.225],"stream":true}'
        ),
    ),
    (
        TimmImages(root="/x", resolution=64, dataset="torch/x", splits=("train", "val")),
        (
            '{"crop_pct":0.875,"dataset":"torch/x","holdout":0.1,"mean":[0.485,0.456,0.406],'
            '"name":"timm","resolution":64,"root":"/x","splits":["train","val"],'
            '"std":[0.229,0.224,0.225],"stream":true}'
        ),
    ),
]


@pytest.mark.parametrize(("spec", "text"), MEANINGS)
def test_the_plain_form_is_that_of_the_first_release(spec: DataSpec, text: str) -> None:
    """Digests of spaces and plans on disk depend on it; `data_from` is the inverse."""
    assert canonical_json(plain(spec)) == text
    assert data_from(json.loads(text)) == spec


def test_every_spec_has_a_reader_and_every_reader_a_spec() -> None:
    """The torch-free table and the table of readers have the same names."""
    assert FORMATS.keys() == DATA_SPECS.keys()
    for name, cls in DATA_SPECS.items():
        assert inspect.signature(cls).parameters["name"].default == name
        assert cls.synthetic == (FORMATS[name].identity_of == "parameters")


@pytest.mark.parametrize(
    ("make", "messages"),
    [
        (
            lambda: Spectral(classes=0, resolution=-5, train_images=0, holdout=7),
            [
                "holdout: expected a number from 0 below 1, got 7",
                "resolution: expected an integer from 8, got -5",
                "classes: expected an integer from 2, got 0",
                "train_images: expected an integer from 1, got 0",
            ],
        ),
        (
            lambda: Spectral(train_images=5, evaluation_images=9),
            [
                "train_images: expected at least 10 images, one per class, got 5",
                "evaluation_images: expected at least 10 images, one per class, got 9",
            ],
        ),
        (
            lambda: FolderImages(root="", resolution=0, stream=True, std=(0, 1, 1)),
            [
                "root: expected the path of a folder, got ''",
                "resolution: expected an integer from 1 or none, got 0",
                (
                    "std: expected a list [a number above 0, a number above 0, a number above 0], "
                    "got [0, 1, 1]"
                ),
            ],
        ),
        (
            lambda: ParquetImages(root="/x", mean=(0, 0, 0), crop_pct=1),
            [
                f"{key}: is only used by streamed images; add `stream: true`, or remove it"
                for key in ("crop_pct", "mean")
            ],
        ),
        (
            lambda: Cifar10(root="/x", stream=True),  # type: ignore[arg-type]
            ["stream: expected false, got true"],
        ),
    ],
)
def test_all_errors_of_a_spec_are_reported_at_once(make: Any, messages: list[str]) -> None:
    """Also outside a space file, each by its field."""
    with pytest.raises(FieldError) as caught:
        make()
    assert [str(error) for error in caught.value.errors] == messages


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    """Neither the spec nor the reader of another set is taken in its place."""
    with pytest.raises(FieldError, match=r"name: expected one of spectral, .* got 'cifar11'"):
        data_from({"name": "cifar11"})
    with pytest.raises(FieldError, match=r"name: expected one of spectral, .* got 'cifar11'"):
        load(DataSpec(name="cifar11"))


def test_a_set_is_opened_only_in_the_ways_it_can_be() -> None:
    """CIFAR is not streamed, timm's sets are not decoded into memory."""
    with pytest.raises(FieldError, match="stream: cifar10 cannot be streamed"):
        open_streamed(Cifar10(root="/x"))
    with pytest.raises(FieldError, match="stream: timm can only be streamed"):
        open_stored(TimmImages(root="/x", resolution=8, dataset="torch/x"))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stripes(DataSpec):
    """A data set of a user's."""

    name: Literal["stripes"] = "stripes"
    width: int = 2


def stripes(spec: Stripes) -> Arrays:
    """Return two classes of striped images."""
    lines = (np.arange(8) // spec.width % 2 * 200).astype(np.uint8)
    images = np.stack([np.tile(lines, (8, 1)), np.tile(lines, (8, 1)).T] * 6)
    pixels = np.repeat(images[..., None], 3, axis=3)
    labels = np.arange(12) % 2
    return Arrays(
        train_images=pixels,
        train_labels=labels,
        evaluation_images=pixels[:4] + np.uint8(1),
        evaluation_labels=labels[:4],
    )


@pytest.fixture
def registered(cache: Path) -> Any:
    """Register the data set for one test."""
    DATA_SPECS.register("stripes", Stripes)
    FORMATS.register("stripes", Format(stored=stored_arrays(stripes)))
    yield
    del DATA_SPECS["stripes"], FORMATS["stripes"]


def test_a_data_set_can_be_registered(registered: None) -> None:
    """It is decoded into the cache like ours; its identity follows its pixels."""
    data = load(data_from({"name": "stripes", "width": 2}))

    assert (len(data.train), len(data.holdout), len(data.evaluation)) == (10, 2, 4)
    assert data.classes == ("0", "1")
    assert data.identity == load(Stripes(holdout=0.3)).identity
    assert data.identity != load(Stripes(width=1)).identity


def test_a_name_is_registered_once(registered: None) -> None:
    """Neither ours nor another's is replaced."""
    for name in ("stripes", "cifar10"):
        with pytest.raises(FieldError, match=f"name: '{name}' exists already; choose another"):
            FORMATS.register(name, Format(stored=stored_arrays(stripes)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": np.zeros((12, 8, 8), np.uint8)}, r"train_images as uint8 \(N, S, S, 3"),
        ({"evaluation_images": np.zeros((4, 8, 8, 3))}, "evaluation_images as uint8 .* float64"),
        ({"train_labels": np.zeros(11, np.int64)}, r"train_labels as integers \(12,\), got"),
        ({"train_labels": np.zeros(12)}, "train_labels as integers .* float64"),
        ({"train_labels": np.array([0, 10**18] * 6)}, "class '1' has no training image, while"),
        ({"evaluation_labels": np.full(4, 2)}, "label 2 of the evaluation split is outside 0..1"),
    ],
)
def test_arrays_of_another_form_are_refused(
    registered: None, change: dict[str, Any], message: str
) -> None:
    """One line with the array, what was expected and what came."""
    wrong = dataclasses.replace(stripes(Stripes()), **change)
    FORMATS["stripes"] = Format(stored=stored_arrays(lambda _: wrong))
    with pytest.raises(DataError, match=message):
        load(Stripes())
