"""The generated set: what a perfect observer scores on it, and that it is the same everywhere."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from gmsearch.bands import versions
from gmsearch.data import load, spectral
from gmsearch.errors import FieldError
from gmsearch.experiment import Bands, Spectral

RADII = (2, 4, 8, 10)


def _generated(spec: Spectral) -> tuple[np.ndarray, np.ndarray]:
    """Return evaluation images uint8 (N, R, R, 3) and labels, without the cache."""
    split = spectral.source(spec).evaluation
    return np.concatenate(list(split.chunks())), split.labels


def _raised(spec: Spectral, images: np.ndarray) -> np.ndarray:
    """Tell for every bin of images (N, 3, R, R) whether a cue is seen there.

    The background has amplitude b / d in every bin, so b is the median over the bins there are of
    amplitude times distance. A bin of a cue differs from it only where the cue is there.
    """
    side = spec.resolution
    amplitude = np.linalg.norm(np.fft.fft2(images.astype(float)), axis=1)
    frequency = np.fft.fftfreq(side, 1 / side)
    strength = amplitude * np.hypot(frequency[:, None], frequency[None, :])
    kept = np.median(amplitude, axis=0) > 0.02 * side
    kept[0, 0] = False
    strength /= np.median(strength[:, kept], axis=1)[:, None, None]
    raised: np.ndarray = (strength > 1.2) & kept
    return raised


def _observe(spec: Spectral, images: np.ndarray) -> np.ndarray:
    """Name the class of raw images (N, 3, R, R) of which a cue is seen, -1 where none is."""
    raised = _raised(spec, images)
    named = np.full(len(images), -1)
    known = spectral.cues(spec.resolution, spec.classes)
    for label in range(spec.classes):
        for bins in (known.shapes[label], known.textures[label]):
            named[np.all([raised[:, *b] for b in bins], axis=0)] = label
    return named


@pytest.mark.parametrize("high_share", [0, 0.5, 1])
def test_an_ideal_observer_reaches_the_ceilings(high_share: float) -> None:
    """On rounded images of every band: what is seen, answered with the class it is seen with most.

    In low bands below the shapes' radii the ceiling is only a bound.
    """
    spec = Spectral(high_share=high_share, evaluation_images=1000)
    images, labels = _generated(spec)
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    cut = dict(versions(pictures, Bands(radii=RADII, dc="drop"), torch.zeros(3)))
    for radius in RADII:
        ceilings = dataclasses.asdict(spectral.ceilings(spec, radius))
        for name, ceiling in ceilings.items():
            version = cut["raw" if name == "raw" else f"{name}@{radius:g}"]
            seen = _raised(spec, version.numpy()).reshape(len(labels), -1)
            views = np.unique(np.packbits(seen, axis=1), axis=0, return_inverse=True)[1]
            counts = np.zeros((views.max() + 1, spec.classes))
            np.add.at(counts, (views, labels), 1)
            accuracy = counts.max(axis=1).sum() / len(labels)
            tolerance = 0.02 + 3 * np.sqrt(ceiling * (1 - ceiling) / len(labels))

            assert accuracy < ceiling + tolerance, (name, radius)
            if name != "low" or radius >= 4:
                assert accuracy > ceiling - tolerance, (name, radius)
                assert len(counts) <= (spec.classes + 1) ** 2


@pytest.mark.parametrize(
    "spec",
    [
        Spectral(evaluation_images=1000),
        Spectral(resolution=24, classes=5, evaluation_images=400),
        Spectral(resolution=33, classes=20, evaluation_images=400),
        Spectral(resolution=64, classes=50, evaluation_images=400, seed=3),
    ],
)
def test_a_cue_that_is_seen_names_its_class(spec: Spectral) -> None:
    """Without an exception, at other sizes and numbers of classes too, and as often as stated."""
    images, labels = _generated(spec)
    named = _observe(spec, images.transpose(0, 3, 1, 2) / 255)

    assert (named == labels)[named >= 0].all()
    assert (named >= 0).mean() == pytest.approx(1 - 0.25**2, abs=0.05)


def test_flipping_does_not_change_the_class() -> None:
    """Patterns are left-right symmetric, so the usual augmentation keeps labels right."""
    spec = Spectral(evaluation_images=200)
    images = _generated(spec)[0].transpose(0, 3, 1, 2) / 255

    assert (_observe(spec, images) == _observe(spec, images[..., ::-1])).all()


@pytest.mark.parametrize("resolution", [24, 32, 33, 64])
def test_shape_and_texture_have_disjoint_supports(resolution: int) -> None:
    """Shapes lie below an eighth of the side, textures between a quarter and three eighths."""
    known = spectral.cues(resolution, 5)
    for bins, low, high in (
        (known.shapes, 0, resolution / 8),
        (known.textures, resolution / 4, 3 * resolution / 8),
    ):
        assert len(set(bins)) == 5
        for one in bins:
            assert all(low < np.hypot(*b) < high for b in one)


def test_the_share_of_information_is_what_was_asked_for() -> None:
    """A cue's information goes with its probability, and the stronger cue's is fixed."""
    for share in np.linspace(0, 1, 21):
        shape, texture = spectral.reliabilities(float(share))

        assert texture / (shape + texture) == pytest.approx(share)
        assert max(shape, texture) == pytest.approx(spectral.RELIABILITY)


def test_ceilings_follow_the_share() -> None:
    """All low at 0, all high at 1, and in between what is below the radius and above it."""
    chance = pytest.approx(0.1)
    one_cue = pytest.approx(spectral.RELIABILITY + (1 - spectral.RELIABILITY) / 10)
    for radius in (4, 8):
        low = spectral.ceilings(Spectral(high_share=0), radius)
        high = spectral.ceilings(Spectral(high_share=1), radius)
        both = spectral.ceilings(Spectral(high_share=0.5), radius)

        assert (low.raw, low.low, low.high) == (one_cue, one_cue, chance)
        assert (high.raw, high.low, high.high) == (one_cue, chance, one_cue)
        assert (both.low, both.high) == (one_cue, one_cue)
        assert both.raw == pytest.approx(1 - (1 - spectral.RELIABILITY) ** 2 * 0.9)
    through = spectral.ceilings(Spectral(high_share=1), 10)
    assert 0.1 < through.low < through.raw
    assert 0.1 < through.high < through.raw
    cut = spectral.ceilings(Spectral(high_share=0), 2)
    assert 0.1 < cut.low < cut.high <= cut.raw
    beyond = spectral.ceilings(Spectral(), 16)
    assert beyond.low == beyond.raw
    assert beyond.high == chance


def test_nothing_is_clipped() -> None:
    """Every image keeps to its range of its own accord: hardly a pixel is black or white."""
    images, _ = _generated(Spectral())

    assert ((images == 0) | (images == 255)).mean() < 1e-4
    assert images.min() < 10
    assert images.max() > 245


def test_the_background_falls_as_one_over_f() -> None:
    """Where no class has a cue, the mean amplitude times the radius is the same."""
    spec = Spectral(high_share=0, classes=2, evaluation_images=300)
    images = _generated(spec)[0].transpose(0, 3, 1, 2) / 255
    amplitude = np.abs(np.fft.fft2(images)).mean(axis=(0, 1))

    near, far = amplitude[6, 0] * 6, amplitude[0, 14] * 14
    assert near == pytest.approx(far, rel=0.05)


def test_the_same_parameters_give_the_same_pixels() -> None:
    """A change of the generator, or of numpy's streams, must raise GENERATOR_VERSION."""
    images, _ = _generated(Spectral(evaluation_images=64))

    assert spectral.GENERATOR_VERSION == 1
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == "1b6e410ca2654e30"


def test_splits_seeds_and_chunks_are_different_images(cache: object) -> None:
    """No image occurs twice, neither in the two splits nor under another seed."""
    sets = [load(Spectral(train_images=1300, evaluation_images=600, seed=s)) for s in (0, 1)]
    images = np.concatenate(
        [part.images for data in sets for part in (data.train, data.holdout, data.evaluation)]
    )

    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == 2 * 1900


def test_classes_are_balanced() -> None:
    """Class counts differ by at most one."""
    source = spectral.source(Spectral(classes=7, train_images=100, evaluation_images=50))
    for split in (source.train, source.evaluation):
        counts = np.bincount(split.labels)

        assert counts.max() - counts.min() <= 1


def test_everything_but_the_holdout_is_identity() -> None:
    """Any parameter that changes pixels changes the identity; the holdout changes none."""
    base = Spectral()
    others = {
        "resolution": 64,
        "classes": 9,
        "train_images": 4095,
        "evaluation_images": 1023,
        "high_share": 0.4,
        "seed": 1,
    }
    changed = {spectral.identity(dataclasses.replace(base, **{k: v})) for k, v in others.items()}

    assert len(changed | {spectral.identity(base)}) == len(others) + 1
    assert spectral.identity(dataclasses.replace(base, holdout=0.3)) == spectral.identity(base)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 0}, "resolution: expected an integer from 8, got 0"),
        (
            {"resolution": 8},
            "classes: expected at most 0 classes, which is all that images of 8 pixels",
        ),
        ({"classes": 1}, "classes: expected an integer from 2, got 1"),
        (
            {"classes": 1000},
            "classes: expected at most 63 classes, which is all that images of 32 pixels",
        ),
        ({"train_images": 9}, "train_images: expected at least 10 images, one per class, got 9"),
        ({"evaluation_images": -1}, "evaluation_images: expected an integer from 1, got -1"),
        ({"high_share": 1.5}, r"high_share: expected a number from 0 to 1, got 1\.5"),
        ({"high_share": float("nan")}, "high_share: expected a number from 0 to 1, got nan"),
        ({"seed": -1}, "seed: expected an integer from 0 to 4294967295, got -1"),
    ],
)
def test_parameters_that_give_no_data_are_refused(change: dict[str, float], message: str) -> None:
    """Each mistake names its field and the remedy."""
    with pytest.raises(FieldError, match=message):
        load(Spectral(**change))
