"""Batches of streamed images: what they hold, that they come again, and who makes them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from gmsearch.data import ImageStream, load
from gmsearch.data.loader import (
    StreamedBatches,
    evaluation_batches,
    evaluation_transform,
    training_transform,
)
from gmsearch.errors import DataError
from gmsearch.experiment import FolderImages, Preprocessing, Recipe

IMAGES = 14
OFFICIAL = Recipe(batch_size=4, augment="random_resized_crop", auto_augment="rand-m1-mstd0.5-inc1")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> FolderImages:
    """Return a folder of two classes of images, all different, of 20 pixels a side."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, n in (("train", IMAGES // 2), ("val", 3)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                array = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(array).save(root / split / name / f"{i}.png")
    return FolderImages(root=str(root), resolution=8, holdout=0, stream=True)


@pytest.fixture
def images(spec: FolderImages) -> ImageStream:
    """Return the training split."""
    train = load(spec).train
    assert isinstance(train, ImageStream)
    return train


def epoch(
    images: ImageStream, recipe: Recipe, seed: int = 0, number: int = 1, workers: int = 0
) -> list[tuple[Tensor, Tensor]]:
    """Return all batches of one epoch."""
    source = StreamedBatches(images, recipe, device="cpu", workers=workers)
    return list(source.epoch(seed, number))


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    """Return whether two epochs are equal, bit for bit."""
    return len(one) == len(other) and all(
        torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(one, other, strict=True)
    )


def test_batches_are_as_the_network_takes_them(images: ImageStream) -> None:
    """float32, channels_last, full batches only; the last ones of an epoch are left out."""
    source = StreamedBatches(images, OFFICIAL, device="cpu", workers=0)
    batches = list(source.epoch(0, 1))

    assert len(source) == len(batches) == IMAGES // 4
    for x, y in batches:
        assert (x.shape, x.dtype, y.dtype) == ((4, 3, 8, 8), torch.float32, torch.int64)
        assert x.is_contiguous(memory_format=torch.channels_last)
    small = StreamedBatches(images, Recipe(batch_size=99), device="cpu", workers=0)
    assert [len(y) for _, y in small.epoch(0, 1)] == [IMAGES]


def test_pixels_are_normalised_by_the_spec(images: ImageStream) -> None:
    """Without augmentation a batch is the evaluation's crop, less mean, over deviation."""
    ((x, y),) = epoch(images, Recipe(batch_size=IMAGES, augment="none"))
    pixels, labels = next(evaluation_batches(images))
    mean, std = (
        torch.tensor(part) for part in (images.preprocessing.mean, images.preprocessing.std)
    )
    expected = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
    order = [int((expected - one).abs().amax(dim=(1, 2, 3)).argmin()) for one in x]

    assert sorted(order) == list(range(IMAGES))
    torch.testing.assert_close(x, expected[order], atol=1e-6, rtol=1e-5)
    assert (y == labels[order]).all()


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip", "random_resized_crop"])
def test_an_epoch_comes_again(images: ImageStream, augment: str) -> None:
    """The same seed and epoch give the same bits; another seed or epoch gives others."""
    recipe = Recipe(batch_size=4, augment=augment, color_jitter=0.4)  # type: ignore[arg-type]
    first = epoch(images, recipe)

    assert same(first, epoch(images, recipe))
    assert not same(first, epoch(images, recipe, number=2))
    assert not same(first, epoch(images, recipe, seed=1))


def test_processes_change_nothing_and_end(images: ImageStream) -> None:
    """Decoded by two processes an epoch is the same; with its last batch they are gone."""
    here = epoch(images, OFFICIAL)
    source = StreamedBatches(images, OFFICIAL, device="cpu", workers=2)
    batches = source.epoch(0, 1)
    first = next(batches)
    decoding = _decoding()

    assert len(decoding) == 2
    assert same(here, [first, *batches])
    assert not _decoding()
    assert same(here, epoch(images, OFFICIAL, workers=1))


def _decoding() -> list[psutil.Process]:
    """Return the processes below this one's server that are still alive."""
    return [
        process
        for server in psutil.Process().children()
        for process in server.children()
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def test_the_networks_generators_are_not_touched(images: ImageStream) -> None:
    """Decoding in this process leaves the global streams as they were after every batch."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the stream in question
    torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002 - as above
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - as above
    torch.manual_seed(1)
    epoch(images, OFFICIAL)

    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected  # noqa: NPY002 - as above


def test_evaluation_is_torchvisions(spec: FolderImages) -> None:
    """Shorter side to resolution / crop_pct by antialiased bicubic, then the centre."""
    array = np.random.default_rng(0).integers(0, 256, (31, 44, 3), dtype=np.uint8)
    image = Image.fromarray(array)
    oracle = Compose([Resize(9, InterpolationMode.BICUBIC), CenterCrop(8)])

    assert np.array_equal(
        evaluation_transform(spec.preprocessing)(image), np.asarray(oracle(image))
    )


def test_training_is_timms(spec: FolderImages) -> None:
    """Under one seed an image becomes what the transform of timm's training loader makes of it."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 44, 3), dtype=np.uint8))
    for recipe in (OFFICIAL, Recipe(augment="random_resized_crop", color_jitter=0.3)):
        oracle = create_transform(
            8,
            is_training=True,
            use_prefetcher=True,
            color_jitter=recipe.color_jitter,
            auto_augment=recipe.auto_augment,
            interpolation="random",
        )
        ours = training_transform(recipe, spec.preprocessing)
        for seed in range(5):
            made = []
            for transform in (ours, oracle):
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002 - timm's transforms draw from it
                torch.manual_seed(seed)
                made.append(np.asarray(transform(image)))

            assert np.array_equal(made[0], made[1].transpose(1, 2, 0))


def test_crops_are_of_the_reflected_image() -> None:
    """crop_flip gives shifts by up to an eighth of the side, mirrored or not, as in memory."""
    image = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    padded = np.pad(np.asarray(image), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = [padded[r : r + 8, c : c + 8] for r in range(3) for c in range(3)]
    possible = {w.tobytes() for w in windows} | {w[:, ::-1].tobytes() for w in windows}
    torch.manual_seed(0)
    # An image of 8 pixels is enlarged to 9 and cropped first, but not at crop_pct 1.
    whole = Preprocessing(resolution=8, crop_pct=1)
    transform = training_transform(Recipe(augment="crop_flip"), whole)
    made = {np.asarray(transform(image)).tobytes() for _ in range(300)}

    assert made == possible


@pytest.fixture
def damaged(images: ImageStream, spec: FolderImages) -> Iterator[ImageStream]:
    """Spoil one image of the training split."""
    path = Path(spec.root) / "train" / "dog" / "3.png"
    sound = path.read_bytes()
    path.write_bytes(sound[:80])
    yield images
    path.write_bytes(sound)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_ends_the_epoch(damaged: ImageStream, workers: int) -> None:
    """The same single line, with the file, whoever decodes; and no process stays."""
    with pytest.raises(DataError, match=r"train/dog/3\.png cannot be decoded") as caught:
        epoch(damaged, Recipe(batch_size=7), workers=workers)

    assert "\n" not in str(caught.value)
    assert not _decoding()


def test_a_process_that_is_killed(images: ImageStream) -> None:
    """It is the machine's fault, an OSError, not a hang and not the candidate's."""
    source = StreamedBatches(images, Recipe(batch_size=1), device="cpu", workers=1)
    batches = source.epoch(0, 1)
    next(batches)
    (process,) = _decoding()
    process.kill()
    with pytest.raises(ChildProcessError, match="a worker process that decodes images died"):
        list(batches)


def test_processes_end_with_the_one_they_work_for(spec: FolderImages, tmp_path: Path) -> None:
    """After kill -9 of a trial none of its processes is left."""
    script = tmp_path / "train.py"
    script.write_text(
        "import time\n"
        "from gmsearch.experiment import FolderImages, Recipe\n"
        "from gmsearch.data import load\n"
        "from gmsearch.data.loader import StreamedBatches\n"
        "if __name__ == '__main__':\n"
        f"    images = load({spec!r}).train\n"
        "    source = StreamedBatches(images, Recipe(batch_size=2), device='cpu', workers=2)\n"
        "    batches = source.epoch(0, 1)\n"
        "    next(batches)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(100)\n"
    )
    trial = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert trial.stdout is not None
    assert trial.stdout.readline() == "ready\n"
    below = psutil.Process(trial.pid).children(recursive=True)
    assert len(below) >= 3
    os.kill(trial.pid, signal.SIGKILL)
    trial.communicate(timeout=30)

    _, alive = psutil.wait_procs(below, timeout=20)
    assert [process.cmdline() for process in alive] == []
