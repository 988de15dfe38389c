"""Generated data set `spectral`: the class is carried partly by low, partly by high frequencies.

A positive control for band metrics: the score of a perfect classifier in each band is known
(`ceilings`). It is synthetic; its numbers say something about bands, nothing about photographs.

An image of side R is a 1/f background (amplitude falling with the radius, phases random) plus two
cues, each present with its own probability and otherwise missing: a *shape* made of three waves of
radius below R/8, in phase at a random place so that they form a smooth lump, and a *texture* of
one wave of radius R/4 to 3R/8 (in bins of the DFT; 4, 8 and 12 at 32 pixels). The Fourier supports
of the two are disjoint. Position, colour, contrast and mean colour are random. All patterns are
left-right symmetric, so flipping an image does not change its class. Every image is scaled into
the range of its pixels; nothing is clipped.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from gmsearch.data.cache import disk_bytes
from gmsearch.data.source import Source, Split
from gmsearch.environment import memory_bytes
from gmsearch.errors import DataError, FieldError
from gmsearch.experiment import Spectral
from gmsearch.plain import digest, plain
from gmsearch.wording import gigabytes

GENERATOR_VERSION = 1
"""Increased when the same parameters give different pixels; part of the data's identity."""

RELIABILITY = 0.75
"""Probability that the more reliable of the two cues is present."""
SHAPE_STRENGTH = 2.4
TEXTURE_STRENGTH = 9.0
"""Smallest amplitude of a cue's wave over the background's at the same bin. Above 2, presence can
be read from the bin with certainty: background and cue may cancel, but not to the background."""
STRENGTH_SPREAD = 1.5
"""Ratio of the largest to the smallest strength."""

_CHUNK = 512
_ALL_CLASSES = 128
"""Resolution whose frequencies suffice for most numbers of classes; larger ones have more."""
_WAVES_PER_SHAPE = 3
_MEAN_COLOUR = (0.35, 0.65)
_CONTRAST = (0.6, 1.0)

Bin = tuple[int, int]
"""A pair of spatial frequencies (fy, fx) >= 0, short for the bins (+-fy, +-fx)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ceilings:
    """Top-1 accuracy of a perfect classifier on balanced classes, as fractions in 0..1."""

    raw: float
    low: float
    """Accuracy given only the bins within the radius."""
    high: float
    """Accuracy given only the other bins."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cues:
    """Patterns of the classes: the bins of each class's shape and texture."""

    shapes: tuple[tuple[Bin, ...], ...]
    textures: tuple[tuple[Bin, ...], ...]


def identity(spec: Spectral) -> str:
    """Return a digest of everything that determines the pixels."""
    _require_room(spec)
    _require_bins(spec)
    tree = plain(spec)
    del tree["holdout"]
    return digest({"spectral": tree, "version": GENERATOR_VERSION})


def _require_bins(spec: Spectral) -> None:
    """Raise FieldError where the images have too few frequencies for their classes."""
    if spec.classes <= most_classes(min(spec.resolution, _ALL_CLASSES)):
        return
    most = most_classes(spec.resolution)
    if spec.classes > most:
        raise FieldError(
            "classes",
            f"expected at most {most} classes, which is all that images of {spec.resolution} "
            f"pixels can show, got {spec.classes}; raise resolution or reduce classes",
        )


def _require_room(spec: Spectral) -> None:
    """Raise DataError for images that no disk of this machine could hold, or no memory make."""
    pixels = spec.resolution**2
    images = spec.train_images + spec.evaluation_images
    disk = disk_bytes()
    needed = 3 * pixels * images
    if needed > disk:
        raise DataError(
            f"spectral: {images:,} images of {spec.resolution:,} pixels a side take "
            f"{gigabytes(needed)} in the decode cache, whose disk has {gigabytes(disk)}; lower "
            "data.train_images, data.evaluation_images or data.resolution"
        )
    chunk = 2 * 8 * 3 * pixels * min(_CHUNK, max(spec.train_images, spec.evaluation_images))
    if chunk > memory_bytes():
        raise DataError(
            f"spectral: images of {spec.resolution:,} pixels a side take {gigabytes(chunk)} of "
            f"memory to generate, and this machine has {gigabytes(memory_bytes())}; lower "
            "data.resolution"
        )


def most_classes(resolution: int) -> int:
    """Return the number of classes that can be distinguished at a resolution."""
    shapes = math.comb(len(_bins(resolution, 0, resolution / 8)), _WAVES_PER_SHAPE)
    return min(shapes, len(_bins(resolution, resolution / 4, 3 * resolution / 8)))


def reliabilities(high_share: float) -> tuple[float, float]:
    """Return the probabilities that shape and texture are present.

    A cue present with probability p carries p log2(classes) bits about the class, so the texture's
    share of the information is its probability over the sum of both. The more reliable cue has
    probability `RELIABILITY`.
    """
    odds = np.array([1 - high_share, high_share])
    shape, texture = RELIABILITY * odds / odds.max()
    return float(shape), float(texture)


def ceilings(spec: Spectral, radius: float) -> Ceilings:
    """Return the scores of a perfect classifier on raw, low-pass and high-pass images.

    It sees the bins of a cue that lie in the band, and predicts the likeliest class. A visible cue
    is detected with certainty, also after rounding to uint8, if the band has enough background to
    distinguish a cue from contrast: everywhere but in low bands of a radius below R/8, where `low`
    is an upper bound.

    Args:
        spec: the data set.
        radius: radius of the split, in bins; low keeps d < radius.
    """
    _require_bins(spec)
    return Ceilings(
        raw=_ceiling(spec, 0, math.inf),
        low=_ceiling(spec, 0, radius),
        high=_ceiling(spec, radius, math.inf),
    )


def _ceiling(spec: Spectral, start: float, stop: float) -> float:
    """Return the sum over all observations of the probability of the likeliest class."""
    known = cues(spec.resolution, spec.classes)
    shape, texture = reliabilities(spec.high_share)
    views: dict[tuple[frozenset[Bin], ...], list[float]] = {}
    for label in range(spec.classes):
        shapes, textures = (
            frozenset(b for b in bins[label] if start <= math.hypot(*b) < stop)
            for bins in (known.shapes, known.textures)
        )
        for (seen, p), (other, q) in itertools.product(
            ((shapes, shape), (frozenset(), 1 - shape)),
            ((textures, texture), (frozenset(), 1 - texture)),
        ):
            views.setdefault((seen, other), [0.0] * spec.classes)[label] += p * q
    return sum(max(chances) for chances in views.values()) / spec.classes


@functools.lru_cache(maxsize=8)
def cues(resolution: int, classes: int) -> Cues:
    """Return the bins of every class, spread apart by a greedy choice."""
    low = _bins(resolution, 0, resolution / 8)
    shapes = list(itertools.combinations(low, _WAVES_PER_SHAPE))
    members = np.array([[b in shape for b in low] for shape in shapes], dtype=np.int64)
    high = _bins(resolution, resolution / 4, 3 * resolution / 8)
    return Cues(
        tuple(shapes[i] for i in _spread(members, classes)),
        tuple((high[i],) for i in _spread(np.array(high), classes)),
    )


def _bins(resolution: int, low: float, high: float) -> list[Bin]:
    side = range((resolution + 1) // 2)
    return [(fy, fx) for fy in side for fx in side if low < math.hypot(fy, fx) < high]


def _spread(points: np.ndarray, n: int) -> list[int]:
    """Choose n rows, each as far as possible from the previous ones (exact integers)."""
    chosen = [0]
    nearest = ((points - points[0]) ** 2).sum(axis=1)
    while len(chosen) < n:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return chosen


def source(spec: Spectral) -> Source:
    """Return the data set; its images are generated when iterated over."""
    _require_bins(spec)
    names = tuple(f"class {c}" for c in range(spec.classes))
    train, evaluation = (
        Split(labels=np.arange(n) % spec.classes, chunks=functools.partial(_chunks, spec, i, n))
        for i, n in enumerate((spec.train_images, spec.evaluation_images))
    )
    return Source(classes=names, train=train, evaluation=evaluation)


def _chunks(spec: Spectral, split: int, n: int) -> Iterator[np.ndarray]:
    for chunk, start in enumerate(range(0, n, _CHUNK)):
        labels = np.arange(start, min(start + _CHUNK, n)) % spec.classes
        yield _images(spec, labels, np.random.default_rng([spec.seed, split, chunk]))


def _images(spec: Spectral, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one image per label: uint8 (n, R, R, 3)."""
    size, n = spec.resolution, len(labels)
    known = cues(size, spec.classes)
    pattern = _background(rng, n, size)  # (n, 3, R, R)
    for bins, strength, reliability in zip(
        (known.shapes, known.textures),
        (SHAPE_STRENGTH, TEXTURE_STRENGTH),
        reliabilities(spec.high_share),
        strict=True,
    ):
        colour = rng.standard_normal((n, 3))
        colour *= np.sqrt(3) / np.linalg.norm(colour, axis=1, keepdims=True)
        amplitude = strength * rng.uniform(1, STRENGTH_SPREAD, n)
        amplitude *= rng.random(n) < reliability
        wave = _waves(bins, labels, rng.random((n, 2)) * size, size)
        pattern += (amplitude[:, None] * colour)[:, :, None, None] * wave[:, None]
    mean = rng.uniform(*_MEAN_COLOUR, (n, 3))
    room = np.minimum(mean, 1 - mean) / np.abs(pattern).max(axis=(2, 3))
    scale = rng.uniform(*_CONTRAST, n) * room.min(axis=1)
    pixels = mean[:, :, None, None] + scale[:, None, None, None] * pattern
    rounded: np.ndarray = np.rint(pixels * 255).astype(np.uint8)
    return rounded.transpose(0, 2, 3, 1)


def _background(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Return noise whose DFT has amplitude 1/d at distance d and 0 at d = 0, per pixel."""
    spectrum = np.fft.rfft2(rng.standard_normal((n, 3, size, size)))
    distance = np.hypot(np.fft.fftfreq(size, 1 / size)[:, None], np.fft.rfftfreq(size, 1 / size))
    distance[0, 0] = np.inf
    spectrum *= size**2 / (np.abs(spectrum) * distance)
    background: np.ndarray = np.fft.irfft2(spectrum, (size, size))
    return background


def _waves(
    bins: Sequence[Sequence[Bin]], labels: np.ndarray, place: np.ndarray, size: int
) -> np.ndarray:
    """Return the waves of each image's class, in phase at `place`: (n, R, R).

    Each wave has amplitude 1/d in each of its bins, like the background.
    """
    waves: np.ndarray = np.zeros((len(labels), size, size))
    for one in np.array(bins).swapaxes(0, 1):  # (classes, 2): one wave of every class
        frequency = one[labels]  # (n, 2)
        steps = np.arange(size) - place[:, :, None]  # (n, 2, R)
        y, x = np.cos(2 * np.pi / size * frequency[:, :, None] * steps).transpose(1, 0, 2)
        per_bin = 2.0 ** (frequency > 0).sum(axis=1)  # a cosine splits its amplitude in two
        height = per_bin / np.hypot(*frequency.T)
        waves += height[:, None, None] * y[:, :, None] * x[:, None, :]
    return waves
