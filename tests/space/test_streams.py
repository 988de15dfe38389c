"""Streamed images in a space file: what is allowed."""

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


@pytest.mark.parametrize("name", GOOD)
def test_what_is_allowed(name: str, load: Callable[..., Space]) -> None:
    """The data arrive as written, and the schema has nothing against the file."""
    text, data = GOOD[name]
    space = load((DATA, text))
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    tree = json.loads(json.dumps(yaml.load(Path("space.yaml"))))

    assert space.data == data
    assert [
        e.message for e in jsonschema.Draft202012Validator(json_schema()).iter_errors(tree)
    ] == []


@pytest.mark.parametrize(
    ("train", "place"),
    [
        ("{epochs: 8, auto_augment: »rand-m9}", "train"),
        ("{epochs: 8, auto_augment: {choice: [none, »rand-m9]}}", "train"),
    ],
)
def test_augmentation_of_decoded_images_needs_streams(
    train: str, place: str, mistakes_in: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """A policy of timm's is refused where images live in memory, wherever it stands."""
    edit = ("{epochs: 8, lr: 3e-3}", train)
    (at,) = marked(edit)
    (line,) = mistakes_in(edit)

    assert line.startswith(f"{at}: {place}.auto_augment: rand-m9 is applied to images as they ")


def test_the_official_recipe_needs_streams(
    load: Callable[..., Space], mistakes_in: Callable[..., list[str]]
) -> None:
    """It is refused for images in memory, but for what may be left out, and loads for streams."""
    recipe = ("{epochs: 8, lr: 3e-3}", "{recipe: gmnet_imagenet}")
    without = ("{epochs: 8, lr: 3e-3}", "{recipe: gmnet_imagenet, auto_augment: none}")

    assert (
        "rand-m1-mstd0.5-inc1 is applied to images as they are decoded" in mistakes_in(recipe)[0]
    )
    assert load(without).count() == 6
    assert load(recipe, (DATA, GOOD["folder"][0])).count() == 6
