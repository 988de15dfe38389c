"""Cost of a band evaluation and of computing its images, in one thread.

The small net of `training.py` at 32 px and gmnet_s3 at 224 px; three radii, low and high. The
origin's way is numpy per image and channel with complex transforms, its masks made beforehand.

Run with `python tests/bench/bands.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import profiles
import rivals
import subjects
import torch
from paired import Row, arguments, faster, interleaved, share, write
from torch import nn

from gmsearch.bands import versions
from gmsearch.experiment import Bands

RADII = {32: (4.0, 8.0, 10.0), 224: (12.0, 24.0, 36.0)}
CHUNK = {32: 125, 224: 2}  # images in a CPU's cache, about what an evaluation takes at once
ONE_PASS, SEVEN = "raw + 3 radii × 2 sides", "7 plain evaluations"
MAKING, ORIGIN, FORWARDS = "making", "origin, mask cached", "7 forwards"
SMALL = {
    "small net, stem stride 2": subjects.small,
    "small net, stem stride 1": functools.partial(subjects.small, "cifar"),
}
NOTES = (
    "one thread; float32; random weights",
    (
        "a plain evaluation takes ready images as the other does: uint8 in memory, conversion, "
        "normalisation and scoring included"
    ),
    (
        "making band images: from uint8 to low and high at three radii; the forwards they feed "
        "are of raw and these six, on ready tensors"
    ),
)


def evaluation(
    model: nn.Module, count: int, size: int, device: str = "cpu"
) -> dict[str, Callable[[], float]]:
    """Return the seconds per image of raw and six bands, and of seven times raw."""
    images, labels = (tensor.to(device) for tensor in subjects.pictures(count, size))
    bands = Bands(radii=RADII[size])
    scores = functools.partial(subjects.evaluation, model.to(device), images, labels, bands)
    one_pass, raw = scores("raw", *bands.metrics), scores("raw")

    def seven() -> None:
        for _ in range(7):
            raw()

    return {
        ONE_PASS: subjects.timed(one_pass, count, device),
        SEVEN: subjects.timed(seven, count, device),
    }


def making(
    model: nn.Module, count: int, size: int, chunk: int, device: str = "cpu"
) -> dict[str, Callable[[], float]]:
    """Return the seconds per image of computing band images, both ways, and of the forwards."""
    images = subjects.pictures(count, size)[0]
    few = images[: max(2, count // 8)].numpy() / 255.0
    masks = [rivals.disc(size, radius) for radius in RADII[size]]
    _agree(few, masks, size)
    images = images.to(device)
    model = model.to(device, memory_format=torch.channels_last).eval()
    batches = [subjects.normalised(part) for part in torch.split(images, chunk)]
    bands, mean = Bands(radii=RADII[size]), torch.tensor(subjects.MEAN, device=device)

    def make() -> None:
        for part in torch.split(images, chunk):
            pixels = part.permute(0, 3, 1, 2).to(
                torch.float32, memory_format=torch.contiguous_format
            )
            for _ in versions(pixels.div_(255), bands, mean):
                pass

    def forwards() -> None:
        with torch.inference_mode():
            for batch in batches:
                for _ in range(7):
                    model(batch)

    return {
        MAKING: subjects.timed(torch.inference_mode()(make), count, device),
        ORIGIN: subjects.timed(lambda: rivals.band_images(few, masks), len(few)),
        FORWARDS: subjects.timed(forwards, count, device),
    }


def _agree(pixels: np.ndarray, masks: list[np.ndarray], size: int) -> None:
    """Require that both ways give the same images; otherwise their times cannot be compared."""
    bands = Bands(radii=RADII[size], dc="drop")
    images = torch.from_numpy(pixels).float().permute(0, 3, 1, 2)
    cut = dict(versions(images, bands, torch.tensor(subjects.MEAN)))
    for name, theirs in zip(bands.metrics, rivals.band_images(pixels, masks), strict=True):
        difference = np.abs(cut[name].permute(0, 2, 3, 1).numpy() - theirs).max()
        assert difference < 1e-5, (name, difference)


def measured(counts: dict[int, int], repeats: int) -> list[Row]:
    """Return the rows."""
    rows = []
    for name, network in SMALL.items():
        times = interleaved(evaluation(network(), counts[32], 32), repeats)
        what = f"band evaluation, 32 px, {name}"
        rows.append(share(times, what, ONE_PASS, SEVEN, reach="≤ 1.15"))
    large = {"gmnet_s3": functools.partial(subjects.preset, "gmnet_s3")}
    for size, networks, reaches in (
        (32, SMALL, ("≥ 20", "≤ 0.1")),
        (224, large, ("≥ 8", "≤ 0.03")),
    ):
        for name, network in networks.items():
            sides = making(network(), counts[size], size, CHUNK[size])
            times = interleaved(sides, repeats)
            what = f"band images against the forwards they feed, {size} px, {name}"
            rows.append(share(times, what, MAKING, FORWARDS, reach=reaches[1]))
        what = f"making band images, {size} px"
        rows.append(faster(times, what, MAKING, ORIGIN, unit="images", reach=reaches[0]))
    return rows


def main() -> None:
    """Measure and write."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    counts, repeats = ({32: 50, 224: 2}, 1) if options.quick else ({32: 2000, 224: 24}, 9)

    def profile() -> str:
        return profiles.of(evaluation(subjects.small(), counts[32], 32)[ONE_PASS])

    write("bands", measured(counts, repeats), options.out, notes=NOTES, profile=profile)


if __name__ == "__main__":
    main()
