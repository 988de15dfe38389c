"""Images per second of a plain evaluation against a loop as in timm's validate.py.

The small net at stem stride 2 and 32 px on two cores, the same images and weights on either side.

Run with `python tests/bench/evaluation.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import profiles
import rivals
import subjects
import torch
from paired import Row, arguments, faster, interleaved, write
from processes import Side, per_image, together
from torch.utils.data import DataLoader

from gmsearch.experiment import Bands

SIZE = 32
NOTES = (
    "ours: uint8 images in memory; top-1, top-5, loss, majority and predictions",
    (
        "rival: DataLoader with 2 worker processes over decoded images, ToTensor and Normalize "
        "for each, batches of 256, NCHW, two threads; loss, top-1 and top-5 read after every batch"
    ),
    "both found the same top-1 and loss",
)


def ours(images: int, threads: int) -> Callable[[], tuple[float, float]]:
    """Return our evaluation as a function that returns top-1 and loss."""
    torch.set_num_threads(threads)
    pictures, labels = subjects.pictures(images, SIZE)
    evaluate = subjects.evaluation(subjects.small(), pictures, labels, Bands(), "raw")

    def found() -> tuple[float, float]:
        raw = evaluate()["raw"]
        return raw.top1, raw.loss

    return found


def rival(images: int, threads: int) -> Callable[[], tuple[float, float]]:
    """Return the evaluation of timm's validate.py."""
    torch.set_num_threads(1)
    pictures, labels = subjects.pictures(images, SIZE)
    transform = rivals.plain(subjects.MEAN, subjects.STD)
    dataset = rivals.Pictures(pictures, labels, transform, png=False)
    loader = DataLoader(
        dataset, 256, num_workers=2, persistent_workers=True, multiprocessing_context="fork"
    )
    loader = rivals.started(loader, threads)
    return functools.partial(rivals.validate, subjects.small(), loader)


def measured(images: int, repeats: int, threads: int) -> list[Row]:
    """Return the rows after checking that both sides agree; some sides use `threads` threads."""
    processes = {
        "evaluate, two threads": Side(ours, images=images, threads=threads),
        "evaluate, one thread": Side(ours, images=images, threads=1),
        "validate loop": Side(rival, images=images, threads=threads),
    }
    sides = {name: functools.partial(per_image, [one], images) for name, one in processes.items()}
    with together(*processes.values()):
        _agree(processes.values(), images)
        times = interleaved(sides, repeats)
    two, one, loop = processes
    return [
        faster(times, "evaluation, same cores", two, loop, unit="images", reach="≥ 2"),
        faster(times, "evaluation, one core against two", one, loop, unit="images"),
    ]


def _agree(sides: Iterable[Side], images: int) -> None:
    """Require that all sides return the same; otherwise their times cannot be compared."""
    found = []
    for side in sides:
        side.start()
        found.append(side.wait())
    for top1, loss in found:
        assert abs(top1 - found[0][0]) <= 1 / images, found  # a tie may fall otherwise
        assert abs(loss - found[0][1]) < 1e-4, found


def main() -> None:
    """Measure and write."""
    options = arguments(__doc__).parse_args()
    # Two threads wait for each other endlessly while another process occupies a core.
    images, repeats, threads = (512, 1, 1) if options.quick else (10_000, 9, 2)

    def profile() -> str:
        return profiles.of(ours(images, 1))

    write(
        "evaluation", measured(images, repeats, threads), options.out, notes=NOTES, profile=profile
    )


if __name__ == "__main__":
    main()
