"""The decode cache: written once, whole or absent, shared, and nothing beside it is touched."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gmsearch.data import Dataset, cache_dir, load, prepare
from gmsearch.data.source import file_digest
from gmsearch.errors import DataError
from gmsearch.experiment import FolderImages, Spectral

SPEC = Spectral(classes=3, train_images=60, evaluation_images=30)


def _arrays(data: Dataset) -> list[np.ndarray]:
    parts = (data.train, data.holdout, data.evaluation)
    return [array.copy() for part in parts for array in (part.images, part.labels)]


def _same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_folder_is_the_users_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """GMSEARCH_CACHE wins; without it the platform's cache folder is taken."""
    monkeypatch.setenv("GMSEARCH_CACHE", "/somewhere")
    assert cache_dir() == Path("/somewhere")

    monkeypatch.delenv("GMSEARCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_dir().name == "gmsearch"


def test_a_data_set_is_written_once(cache: Path) -> None:
    """Preparing and loading again touch no file; loading alone prepares."""
    first = load(SPEC)
    files = {path: path.stat().st_mtime_ns for path in (cache / first.identity).iterdir()}

    assert prepare(SPEC) == first.identity
    assert _same(_arrays(load(SPEC)), _arrays(first))
    assert {p: p.stat().st_mtime_ns for p in (cache / first.identity).iterdir()} == files
    assert sorted(path.name for path in cache.iterdir()) == [
        first.identity,
        f"{first.identity}.lock",
    ]


def _truncate(folder: Path) -> None:
    path = folder / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_bit(folder: Path) -> None:
    with (folder / "evaluation_images.npy").open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)[0]
        file.seek(5000)
        file.write(bytes([byte ^ 1]))


def _half_written(folder: Path) -> None:
    folder.rename(folder.with_name(f".{folder.name}.building"))


def _replace(folder: Path, name: str, array: np.ndarray) -> None:
    """Write another array, with a digest that matches it."""
    np.save(folder / f"{name}.npy", array)
    meta = json.loads((folder / "meta.json").read_text())
    meta["files"][name] = file_digest(folder / f"{name}.npy")
    (folder / "meta.json").write_text(json.dumps(meta))


class _Unpickled:
    """An object that must never be made again from a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: _replace(folder, "train_images", np.array([_Unpickled()], dtype=object)),
        lambda folder: _replace(folder, "train_labels", np.zeros(60)),
        lambda folder: _replace(folder, "evaluation_images", np.zeros((30, 32, 32), np.uint8)),
        lambda folder: _replace(folder, "evaluation_labels", np.zeros(29, np.int64)),
        _truncate,
        _flip_a_bit,
        _half_written,
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "meta.json").write_text("{"),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: (folder / "train_labels.npy").unlink(),
        lambda folder: (folder / "train_images.npy").write_bytes(b""),
    ],
)
def test_a_damaged_cache_is_built_again(
    cache: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was cut, changed or left half-written, loading restores every byte."""
    data = load(SPEC)
    whole = _arrays(data)
    damage(cache / data.identity)
    damaged = (cache / data.identity).exists()

    assert _same(_arrays(load(SPEC)), whole)
    named = f"{cache / data.identity} is damaged; it is decoded again"
    assert caplog.messages == [named] * damaged
    assert not list(cache.glob(".*"))


def test_processes_build_once(cache: Path) -> None:
    """Started together, one process decodes and the others take what it wrote."""
    code = (
        "from gmsearch.experiment import Spectral; from gmsearch.data import *;"
        f"i = prepare({SPEC!r}); print((cache_dir() / i).stat().st_ino)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    inodes = {process.communicate(timeout=60)[0] for process in processes}

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert inodes == {f"{(cache / prepare(SPEC)).stat().st_ino}\n"}


def test_maps_are_shared_but_private_to_write(cache: Path) -> None:
    """Torch takes an image set without copy or warning, and no write reaches the file."""
    data = load(SPEC)
    before = data.train.images[0, 0, 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(data.train.images)
    tensor[0, 0, 0, 0] = int(before) ^ 255

    assert isinstance(data.train.images, np.memmap)
    assert data.train.images[0, 0, 0, 0] == before ^ 255
    assert load(SPEC).train.images[0, 0, 0, 0] == before


def test_moments_are_those_of_the_training_split(cache: Path) -> None:
    """Mean and deviation are exact over train and holdout, whatever the holdout's share."""
    for holdout in (0.0, 0.3):
        data = load(dataclasses.replace(SPEC, holdout=holdout))
        pixels = np.concatenate([data.train.images, data.holdout.images]).astype(np.int64)
        for channel in range(3):
            values = pixels[..., channel]
            mean = Fraction(int(values.sum()), values.size)
            square = Fraction(int((values**2).sum()), values.size)

            assert data.mean[channel] == float(mean / 255)
            assert data.std[channel] == pytest.approx(float(square - mean**2) ** 0.5 / 255)


def test_chance_is_the_most_frequent_evaluation_class(cache: Path) -> None:
    """With 31 images of 3 classes the first has 11."""
    data = load(dataclasses.replace(SPEC, evaluation_images=31))

    assert data.chance == 11 / 31


@pytest.mark.parametrize("inside", ["file", "file/deeper"])
def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """The message names the folder and GMSEARCH_CACHE."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("GMSEARCH_CACHE", str(tmp_path / inside))
    with pytest.raises(DataError, match=r"cannot be written .* set GMSEARCH_CACHE to a writable"):
        prepare(SPEC)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_full_disk_is_an_error_and_leaves_nothing(cache: Path) -> None:
    """Space is taken before it is mapped, so that a full disk is a message, not a crash."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "from gmsearch.experiment import Spectral; from gmsearch.data import prepare\n"
        "from gmsearch.errors import DataError\n"
        f"try: prepare({SPEC!r})\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert "cannot be written" in done.stdout
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return a root with two classes of plain images in folders."""
    for blue, split in ((0, "train"), (1, "val")):
        for i, name in enumerate(("cat", "dog")):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for j in range(2):
                Image.new("RGB", (8, 8), (60 * i, 90 * j, 100 * i + blue)).save(
                    folder / f"{j}.png"
                )
    return tmp_path / "images"


def test_the_root_is_not_written_to(folders: Path, cache: Path) -> None:
    """Decoding leaves the data as it was, in a current folder that stays as it was."""

    def listing() -> list[tuple[str, int]]:
        return [(str(path), path.stat().st_mtime_ns) for path in sorted(folders.rglob("*"))]

    before = listing()
    load(FolderImages(root=str(folders), holdout=0))

    assert listing() == before


def test_images_of_one_colour_are_refused(folders: Path, cache: Path) -> None:
    """A channel that never varies cannot be normalised."""
    for path in folders.rglob("*.png"):
        Image.new("RGB", (8, 8), (9, 9, 9)).save(path)
    with pytest.raises(DataError, match="a channel is constant over all training images"):
        load(FolderImages(root=str(folders), holdout=0))


def test_torch_is_not_loaded(folders: Path, cache: Path) -> None:
    """Preparing and loading generated and stored images need numpy and Pillow only."""
    code = (
        "import sys; from gmsearch.experiment import FolderImages, Spectral\n"
        "from gmsearch.data import load\n"
        f"load({SPEC!r}); load(FolderImages(root={str(folders)!r}, holdout=0))\n"
        "assert not {'torch', 'torchvision', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
