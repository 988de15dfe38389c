"""Data sets of plugins: arrays and lists of files, identity, and mistakes as one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gmsearch import plugins
from gmsearch.data import ImageStream, load
from gmsearch.errors import DataError, FieldError, SpaceError
from gmsearch.experiment import data_from
from gmsearch.plain import plain
from gmsearch.spacefile import load_space

Write = Callable[..., Path]

ARRAYS = """
import numpy as np
@dataset("noise")
def noise(images: int = 20, seed: int = 0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (2 * images, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(2 * images) % 2
    return {"train": (pixels[:images], labels[:images]),
            "evaluation": (pixels[images:], labels[images:]), "classes": ["a", "b"]}
"""

FILES = """
from pathlib import Path
@dataset("files")
def files(root: str):
    paths = sorted(Path(root).glob("*.png"))
    labels = [int(path.stem[0]) for path in paths]
    return {"train": (paths[::2], labels[::2]), "evaluation": (paths[1::2], labels[1::2])}
"""


def _load(plugin: Write, text: str, **options: Any) -> Any:
    path = plugin(text)
    plugins.load([path.name], path.parent)
    return data_from({"name": "noise" if "noise" in text else "files", **options})


def test_arrays_become_a_data_set(plugin: Write) -> None:
    """Images and labels are those the function returns for the arguments of the space."""
    data = load(_load(plugin, ARRAYS, images=30, holdout=0.2))
    assert (len(data.train), len(data.holdout), len(data.evaluation)) == (24, 6, 30)
    assert data.classes == ("a", "b")
    assert data.resolution == 8
    assert (data.evaluation.labels == np.arange(30) % 2).all()


def test_the_identity_is_of_the_bytes(plugin: Write) -> None:
    """Other pixels make another data set; the same pixels the same one, whatever the code."""
    first = load(_load(plugin, ARRAYS)).identity
    assert load(_load(plugin, ARRAYS, seed=1)).identity != first
    assert load(_load(plugin, ARRAYS + "# changed\n")).identity == first


def test_a_spec_crosses_processes_as_plain_data(plugin: Write) -> None:
    """A plan carries the spec of a plugin's data set as JSON."""
    spec = _load(plugin, ARRAYS, images=4)
    assert data_from(plain(spec)) == spec
    with pytest.raises(FieldError, match="expected an integer, got 'many'"):
        _load(plugin, ARRAYS, images="many")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of 24 images of 12 x 10 pixels, three classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(24):
        pixels = rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number % 12 // 4}{number:02}.png")
    return folder


def test_listed_files_are_decoded(plugin: Write, images: Path) -> None:
    """Listed files are decoded into memory at a resolution, or anew in every epoch."""
    data = load(_load(plugin, FILES, root=str(images), resolution=8))
    assert (len(data.train) + len(data.holdout), len(data.evaluation)) == (12, 12)
    assert data.resolution == 8
    assert data.classes == ("0", "1", "2")
    streamed = load(_load(plugin, FILES, root=str(images), resolution=8, stream=True))
    assert isinstance(streamed.train, ImageStream)
    assert streamed.identity_of == "paths and sizes"
    assert streamed.evaluation.labels.tolist() == data.evaluation.labels.tolist()


BAD = {
    "raises": (
        "    return 1 / 0\n",
        "data set noise of mine.py:5: mine.py:7: ZeroDivisionError: division by zero",
    ),
    "type": (
        "    return [1, 2]\n",
        "data set noise of mine.py:5: expected a dict of train, evaluation",
    ),
    "keys": (
        "    return {'train': 1, 'test': 2}\n",
        (
            "data set noise of mine.py:5: expected a dict of train, evaluation and optionally "
            "classes, got ['test', 'train']"
        ),
    ),
    "pair": (
        "    return {'train': np.zeros(3), 'evaluation': 1}\n",
        "data set noise of mine.py:5: train: expected a pair (images, labels)",
    ),
    "pixels": (
        "    x = np.zeros((4, 8, 8, 3)), [0, 1, 0, 1]\n    return {'train': x, 'evaluation': x}\n",
        (
            "data set noise of mine.py:5: expected train_images as uint8 (N, S, S, 3), got "
            "float64 (4, 8, 8, 3)"
        ),
    ),
    "labels": (
        (
            "    x = np.zeros((4, 8, 8, 3), np.uint8), [0, 1]\n"
            "    return {'train': x, 'evaluation': x}\n"
        ),
        "data set noise of mine.py:5: expected train_labels as integers (4,), got int64 (2,)",
    ),
    "paths": (
        "    return {'train': (['a.png'], [0, 1]), 'evaluation': (['a.png'], [0])}\n",
        (
            "data set noise of mine.py:5: train: expected a list of paths and as many integers, "
            "got list"
        ),
    ),
    "missing file": (
        (
            "    x = ['/no/such.png', '/no/other.png'], [0, 1]\n"
            "    return {'train': x, 'evaluation': x}\n"
        ),
        "/no/such.png cannot be read (No such file or directory); check its permissions",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_data_set_is_one_line(plugin: Write, case: str) -> None:
    """A function that raises, or returns something else, is named with what was expected."""
    body, expected = BAD[case]
    head = 'import numpy as np\n@dataset("noise")\ndef noise():\n'
    with pytest.raises(DataError) as caught:
        load(_load(plugin, head + body, resolution=8))
    message = str(caught.value)
    assert message.startswith(expected), message
    assert "\n" not in message


def test_arrays_are_not_streamed(plugin: Write) -> None:
    """A data set of arrays says so where it is to be streamed."""
    with pytest.raises(DataError, match="returns arrays, which are not streamed"):
        load(_load(plugin, ARRAYS, resolution=8, stream=True))


def test_a_space_file_names_it(plugin: Write, images: Path) -> None:
    """Arguments are keys of `data`, checked at their line; a folder is asked for if it is used."""
    folder = plugin(ARRAYS + FILES).parent
    space = folder / "space.yaml"
    lines = [
        "study: mine",
        "plugins: [mine.py]",
        "model: {widths: [4], depths: [1], kernel_size: 3}",
        "data: {name: noise, images: 30}",
        "objectives: {top1: maximize}",
        "search: {method: grid, seeds: [0]}",
    ]
    space.write_text("\n".join(lines), encoding="utf-8")
    assert len(load(load_space(space).data).evaluation) == 30
    lines[3] = f"data: {{name: files, root: {images}, resolution: 8}}"
    space.write_text("\n".join(lines), encoding="utf-8")
    assert len(load(load_space(space).data).evaluation) == 12
    for data, expected in (
        ("{name: noise, images: many}", f"{space}:4:29: data.images: expected an integer"),
        ("{name: noise, image: 3}", f"{space}:4:21: data: unknown key 'image'; did you mean"),
        ("{name: files, resolution: 8}", f"{space}:4:1: data: root is missing; add `root: FOLD"),
        ("{name: noises}", f"{space}:4:14: data"),
    ):
        lines[3] = f"data: {data}"
        space.write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(SpaceError) as caught:
            load_space(space)
        assert str(caught.value).startswith(expected), caught.value
