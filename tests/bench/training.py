"""Images per second of training: in memory and channels_last against a loader of PIL transforms.

GmNet 16-32-64, depths 1-2-1, kernel 5, ratio 2, stem stride 2, 32 px, batch 128, SGD with
momentum, float32, crop and flip, on two cores. Every side is a process of its own; only one is at
work at a time, but for the two trials that run side by side.

Run with `python tests/bench/training.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import profiles
import rivals
import subjects
import torch
from paired import Row, arguments, faster, interleaved, write
from processes import Side, per_image, together
from torch.utils.data import DataLoader

from gmsearch.experiment import Recipe

SIZE = 32
BATCH = 128
ONE, TWO = "one trial, one thread", "one trial, two threads"
BOTH = "two trials, one thread each"
PNG, ARRAYS = "PIL loader, PNG", "PIL loader, arrays"
NOTES = (
    "ours: uint8 images in memory, cropped and flipped in whole batches, channels_last",
    (
        "rival: DataLoader with 2 worker processes, PIL and torchvision's transforms, NCHW, two "
        "threads; its images are PNG files in memory, or arrays that need no decoding"
    ),
    "images/s over whole epochs; two trials: both together",
)


def ours(images: int, threads: int) -> Callable[[], object]:
    """Return our epoch."""
    torch.set_num_threads(threads)
    pictures, labels = subjects.pictures(images, SIZE)
    recipe = Recipe(epochs=subjects.EPOCHS, **subjects.RECIPE)
    return subjects.epochs(subjects.small(), pictures, labels, recipe)


def rival(images: int, threads: int, *, png: bool) -> Callable[[], object]:
    """Return an epoch of timm's train.py."""
    torch.set_num_threads(1)
    pictures, labels = subjects.pictures(images, SIZE)
    transform = rivals.augmenting(SIZE, subjects.MEAN, subjects.STD)
    dataset = rivals.Pictures(pictures, labels, transform, png=png)
    loader = DataLoader(
        dataset,
        BATCH,
        shuffle=True,
        num_workers=2,
        drop_last=True,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    return rivals.epochs(subjects.small(), rivals.started(loader, threads))


def measured(images: int, repeats: int, threads: int) -> list[Row]:
    """Return the rows; some sides use `threads` threads."""
    one, another = Side(ours, images=images, threads=1), Side(ours, images=images, threads=1)
    two = Side(ours, images=images, threads=threads)
    png, arrays = (Side(rival, images=images, threads=threads, png=png) for png in (True, False))
    groups = {ONE: [one], TWO: [two], BOTH: [one, another], PNG: [png], ARRAYS: [arrays]}
    sides = {name: functools.partial(per_image, group, images) for name, group in groups.items()}
    with together(one, another, two, png, arrays):
        times = interleaved(sides, repeats)
    compare = functools.partial(faster, times, unit="images")
    return [
        compare("training, same cores", TWO, PNG, reach="≥ 3"),
        compare("training, as a study runs on two cores", BOTH, PNG),
        compare("training, one core against two", ONE, PNG),
        compare("training, same cores, nothing to decode", TWO, ARRAYS),
        compare("two trials side by side", BOTH, TWO, reach="≥ 1.2"),
    ]


def main() -> None:
    """Measure and write."""
    options = arguments(__doc__).parse_args()
    # Two threads wait for each other endlessly while another process occupies a core.
    images, repeats, threads = (2 * BATCH, 1, 1) if options.quick else (40 * BATCH, 9, 2)

    def profile() -> str:
        return profiles.of(ours(images, 1))

    write(
        "training", measured(images, repeats, threads), options.out, notes=NOTES, profile=profile
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
