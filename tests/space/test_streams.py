"""Streamed images in a space file: what may be said, and what is told of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import ruamel.yaml

from gmsearch.experiment import FolderImages, ParquetImages, TimmImages
from gmsearch.space import Space
from gmsearch.spacefile import json_schema

DATA = "{name: spectral, resolution: 32}"
GOOD = {
    "folder": (
        "{name: folder, root: /x, resolution: 224, stream: true}",
        FolderImages(root="/x", resolution=224, stream=True),
    ),
    "numbers": (
        (
            "{name: parquet, root: /x, resolution: 32, stream: true, crop_pct: 1, "
            "mean: [0.5, 0.5, 0], std: [1, 1, 0.2], holdout: 0.2}"
        ),
        ParquetImages(
            stream=True,
            root="/x",
            resolution=32,
            crop_pct=1,
            mean=(0.5, 0.5, 0),
            std=(1, 1, 0.2),
            holdout=0.2,
        ),
    ),
    "timm": (
        "{name: timm, dataset: torch/imagenet, root: /x, resolution: 64, splits: [train, val]}",
        TimmImages(
            root="/x",
            resolution=64,
            dataset="torch/imagenet",
            splits=("train", "val"),
        ),
    ),
    "in memory": (
        "{name: folder, root: /x, stream: false}",
        FolderImages(root="/x"),
    ),
}
BAD = {
    "no resolution": (
        "data.resolution: is missing; streamed images need it",
        "{name: folder, root: /x, stream: true}",
        "»data",
    ),
    "a small set": (
        "data.stream: cifar10 cannot be streamed, only parquet, folder, timm; remove it",
        "{name: cifar10, root: /x, resolution: 32, stream: »true}",
        None,
    ),
    "a generated set": (
        "data.stream: spectral cannot be streamed, only parquet, folder, timm; remove it",
        "{name: spectral, stream: »true}",
        None,
    ),
    "a word": (
        "data.stream: 'yes' is not true or false",
        "{name: folder, root: /x, stream: »yes}",
        None,
    ),
    "a key of streams": (
        "data.crop_pct: is only used by streamed images; add `stream: true`, or remove it",
        "{name: folder, root: /x, crop_pct: »0.9}",
        None,
    ),
    "timm in memory": (
        "data.stream: timm is always streamed; remove it",
        "{name: timm, dataset: torch/cifar10, root: /x, resolution: 32, stream: »false}",
        None,
    ),
    "timm without a data set": (
        (
            "data: dataset is missing; add `dataset: …`, what timm.data.create_dataset takes, "
            "such as torch/imagenet"
        ),
        "{name: timm, root: /x, resolution: 32}",
        "»data",
    ),
    "a data set of a folder": (
        (
            "data: unknown key 'dataset'; there are: name, holdout, root, resolution, stream, "
            "crop_pct, mean, std"
        ),
        "{name: folder, root: /x, resolution: 32, stream: true, »dataset: x}",
        None,
    ),
    "an order of its own": (
        (
            "data.dataset: wds/x can only be read in its own order, which allows neither a "
            "holdout nor a seeded order; take the images as hfds/, torch/, folder or parquet"
        ),
        "{name: timm, root: /x, resolution: 32, dataset: »wds/x}",
        None,
    ),
    "one split twice": (
        "data.splits: expected two different splits, got [train, train]",
        "{name: timm, root: /x, resolution: 32, dataset: x, splits: »[train, train]}",
        None,
    ),
    "a crop of more": (
        "data.crop_pct: 1.1 is not a number above 0 to 1",
        "{name: folder, root: /x, resolution: 32, stream: true, crop_pct: »1.1}",
        None,
    ),
    "a mean of two": (
        (
            "data.mean: [0.5, 0.5] is not a list [a number from 0 to 1, a number from 0 to 1, "
            "a number from 0 to 1]"
        ),
        "{name: folder, root: /x, resolution: 32, stream: true, mean: »[0.5, 0.5]}",
        None,
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_may_be_said(name: str, load: Callable[..., Space]) -> None:
    """The data arrive as written, and the schema has nothing against the file."""
    text, data = GOOD[name]
    space = load((DATA, text))
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    tree = json.loads(json.dumps(yaml.load(Path("space.yaml"))))

    assert space.data == data
    assert [
        e.message for e in jsonschema.Draft202012Validator(json_schema()).iter_errors(tree)
    ] == []


@pytest.mark.parametrize("name", BAD)
def test_one_mistake_is_told_once_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Each gives one line, with its place, what is wrong and what is right."""
    message, data, key = BAD[name]
    edit = (f"data: {DATA}", f"{key or 'data'}: {data}")
    (place,) = marked(edit)

    assert told(edit) == [f"{place}: {message}"]


@pytest.mark.parametrize(
    ("train", "place"),
    [
        ("{epochs: 8, auto_augment: »rand-m9}", "train"),
        ("{epochs: 8, auto_augment: {choice: [none, »rand-m9]}}", "train"),
    ],
)
def test_augmentation_of_decoded_images_needs_streams(
    train: str, place: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """A policy of timm's is refused where images live in memory, wherever it stands."""
    edit = ("{epochs: 8, lr: 3e-3}", train)
    (at,) = marked(edit)
    (line,) = told(edit)

    assert line.startswith(f"{at}: {place}.auto_augment: rand-m9 is applied to images as they ")


def test_the_official_recipe_needs_streams(
    load: Callable[..., Space], told: Callable[..., list[str]]
) -> None:
    """It is refused for images in memory, but for what may be left out, and loads for streams."""
    recipe = ("{epochs: 8, lr: 3e-3}", "{recipe: gmnet_imagenet}")
    without = ("{epochs: 8, lr: 3e-3}", "{recipe: gmnet_imagenet, auto_augment: none}")

    assert "rand-m1-mstd0.5-inc1 is applied to images as they are decoded" in told(recipe)[0]
    assert load(without).count() == 6
    assert load(recipe, (DATA, GOOD["folder"][0])).count() == 6
