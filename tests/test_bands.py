"""Band versions against the published procedure, and what an evaluation may not change."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gmsearch.bands import (
    calibration_batches,
    evaluate_bands,
    evaluate_batches,
    named_metrics,
    versions,
)
from gmsearch.data import load
from gmsearch.errors import FieldError
from gmsearch.evaluate import Scores
from gmsearch.experiment import Bands, ParquetImages
from gmsearch.metrics import is_metric, names, names_on

IMAGENETTE = Path(__file__).parents[2] / "shared" / "data" / "imagenette32"
MEAN = torch.tensor([0.5, 0.4, 0.3])
RADII = (0.5, 1, 2.5, 4, 5, 8, 10)


def _images(n: int = 3, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand((n, 3, side, side), generator=torch.Generator().manual_seed(seed))


def _wave(fy: int, fx: int) -> torch.Tensor:
    """Return a cosine of 32 x 32 pixels, exact to float32."""
    rows, columns = np.mgrid[:32, :32]
    return torch.from_numpy(np.cos(2 * np.pi * (fy * rows + fx * columns) / 32)).float()


def _published_low(images: torch.Tensor, radius: float, *, inclusive: bool) -> np.ndarray:
    """Filter as the origin's code: shifted complex spectrum, hard disc, real part, in double.

    The centre is the place of the zero frequency, which for odd sides is not n / 2.
    """
    low = np.empty(images.shape)
    side = images.shape[2]
    rows, columns = np.mgrid[:side, :side]
    centre = side // 2
    distance = np.sqrt((rows - centre) ** 2.0 + (columns - centre) ** 2.0)
    mask = distance <= radius if inclusive else distance < radius
    for i, channel in np.ndindex(*images.shape[:2]):
        spectrum = np.fft.fftshift(np.fft.fft2(images[i, channel].double().numpy()))
        low[i, channel] = np.real(np.fft.ifft2(np.fft.ifftshift(spectrum * mask)))
    return low


@pytest.mark.parametrize("side", [31, 32, 33, 64])
@pytest.mark.parametrize("edge", ["lt", "le"])
def test_low_and_high_are_the_published_procedure(side: int, edge: str) -> None:
    """Half spectrum, trimmed columns and float32 stay within 1e-6 of it, at odd sides too."""
    images = _images(side=side)
    cut = dict(versions(images, Bands(radii=RADII, edge=edge, dc="drop"), MEAN))
    for radius in RADII:
        low = _published_low(images, radius, inclusive=edge == "le")

        assert np.abs(cut[f"low@{radius:g}"].numpy() - low).max() < 1e-6
        assert np.abs(cut[f"high@{radius:g}"].numpy() - (images.numpy() - low)).max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(
    side=st.integers(4, 40),
    share=st.floats(0.05, 0.95),
    edge=st.sampled_from(["lt", "le"]),
    boundary=st.sampled_from(["periodic", "mirror"]),
)
def test_low_and_high_sum_to_the_image(side: int, share: float, edge: str, boundary: str) -> None:
    """Whatever the radius, the edge and the boundary, nothing is lost or invented."""
    images = _images(side=side)
    radius = max(0.5, share * side / 2)
    bands = Bands(radii=(radius,), edge=edge, boundary=boundary, dc="drop")
    _, _, (_, low), (_, high) = versions(images, bands, MEAN)

    assert (low + high - images).abs().max() <= 1e-6


def test_bands_are_differences_of_lows_and_tile_the_image() -> None:
    """Adjacent bands, with what lies above and below them, sum to the image."""
    images = _images()
    bands = Bands(radii=(4, 10), ranges=((0, 4), (4, 7.5), (7.5, 10)), dc="drop")
    cut = dict(versions(images, bands, MEAN))

    parts = [cut["band@0:4"], cut["band@4:7.5"], cut["band@7.5:10"], cut["high@10"]]
    torch.testing.assert_close(sum(parts), images, rtol=0, atol=1e-6)
    torch.testing.assert_close(cut["band@0:4"], cut["low@4"], rtol=0, atol=0)


def test_energy_splits_as_the_masks_share_the_spectrum() -> None:
    """Low and high are orthogonal: their energies are those of their bins (Parseval)."""
    images = _images(n=2)
    cut = dict(versions(images, Bands(radii=(6,), dc="drop"), MEAN))
    power = np.abs(np.fft.fft2(images.double().numpy())) ** 2 / 32**2
    frequency = np.fft.fftfreq(32, 1 / 32)
    inside = np.hypot(frequency[:, None], frequency[None, :]) < 6

    for name, bins in (("low@6", inside), ("high@6", ~inside)):
        energy = cut[name].double().square().sum(dim=(2, 3)).numpy()
        np.testing.assert_allclose(energy, power[:, :, bins].sum(axis=2), rtol=1e-5)


@pytest.mark.parametrize(("fy", "fx"), [(0, 3), (3, 4), (5, 0), (7, 7), (16, 0), (16, 16)])
def test_a_sinusoid_lands_in_its_band(fy: int, fx: int) -> None:
    """A wave of one frequency is wholly in the band around its radius and nowhere else."""
    wave = 0.4 * _wave(fy, fx)
    images = (0.5 + wave).expand(1, 3, 32, 32)
    radius = math.hypot(fy, fx)
    around = Bands(ranges=((radius - 0.1, radius + 0.1),), radii=(radius - 0.1,), dc="drop")
    cut = dict(versions(images, around, MEAN))

    high, band = cut[f"high@{radius - 0.1:g}"], cut[f"band@{radius - 0.1:g}:{radius + 0.1:g}"]
    torch.testing.assert_close(high[0, 0], wave, rtol=0, atol=1e-6)
    torch.testing.assert_close(band[0, 0], wave, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        cut[f"low@{radius - 0.1:g}"], torch.full_like(images, 0.5), rtol=0, atol=1e-6
    )


def test_a_bin_on_the_edge_is_high_or_low_as_the_edge_says() -> None:
    """At distance 5 exactly (3, 4), `lt` puts the wave into high@5 and `le` into low@5."""
    wave = _wave(3, 4).expand(1, 3, 32, 32)
    for edge, side in (("lt", "high@5"), ("le", "low@5")):
        cut = dict(versions(wave, Bands(radii=(5,), edge=edge, dc="drop"), MEAN))

        torch.testing.assert_close(cut[side], wave, rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [15, 16])
@pytest.mark.parametrize("edge", ["lt", "le"])
def test_a_mirrored_boundary_is_the_cosine_transform(side: int, edge: str) -> None:
    """Filtering the even extension is masking the DCT-II, whose bin k has frequency k / 2."""
    images = _images(side=side)
    half = np.arange(side) / 2
    distance = np.hypot(half[:, None], half[None, :])
    for radius in (1, 2.5, 5):
        mask = distance <= radius if edge == "le" else distance < radius
        spectrum = scipy.fft.dctn(images.double().numpy(), axes=(2, 3))
        low = scipy.fft.idctn(spectrum * mask, axes=(2, 3))
        bands = Bands(radii=(radius,), edge=edge, boundary="mirror", dc="drop")
        cut = dict(versions(images, bands, MEAN))

        assert np.abs(cut[f"low@{radius:g}"].numpy() - low).max() < 1e-6


def test_what_stands_in_for_the_lost_mean() -> None:
    """High-pass and band images get the data set's mean, their own, or nothing; low keeps its."""
    images = _images()
    own = images.mean(dim=(2, 3))
    for dc, expected in (
        ("dataset_mean", MEAN.expand(3, 3)),
        ("image_mean", own),
        ("drop", torch.zeros(3, 3)),
    ):
        bands = Bands(radii=(4,), ranges=((4, 9), (0, 9)), dc=dc)
        means = {name: cut.mean(dim=(2, 3)) for name, cut in versions(images, bands, MEAN)}

        for name in ("high@4", "band@4:9"):
            torch.testing.assert_close(means[name], expected, rtol=0, atol=1e-6)
        for name in ("raw", "low@4", "band@0:9"):
            torch.testing.assert_close(means[name], own, rtol=0, atol=1e-6)
        torch.testing.assert_close(means["nodc"], torch.zeros(3, 3), rtol=0, atol=1e-6)


def test_nodc_takes_the_mean_and_nothing_else() -> None:
    """Image minus nodc is constant in every channel."""
    images = _images()
    nodc = dict(versions(images, Bands(), MEAN))["nodc"]

    rest = images - nodc
    torch.testing.assert_close(
        rest, rest[:, :, :1, :1].expand_as(rest).contiguous(), rtol=0, atol=1e-6
    )


def test_rescaling_by_the_maximum() -> None:
    """Each filtered image is divided by its own maximum; a black one stays as it is."""
    images = torch.cat([_images(n=2), torch.zeros(1, 3, 32, 32)])
    plain = dict(versions(images, Bands(radii=(4,), dc="drop"), MEAN))
    scaled = dict(versions(images, Bands(radii=(4,), dc="drop", rescale="max"), MEAN))
    for name in ("low@4", "high@4"):
        for i in range(2):
            largest = plain[name][i].max()
            torch.testing.assert_close(scaled[name][i], plain[name][i] / largest)

        assert scaled[name][2].abs().max() == 0
    torch.testing.assert_close(scaled["raw"], images, rtol=0, atol=0)


def test_the_images_are_not_changed() -> None:
    """Versions are made beside the images, whatever is asked for."""
    images = _images()
    before = images.clone()
    options = itertools.product(
        ("none", "max"), ("dataset_mean", "drop", "image_mean"), ("periodic", "mirror")
    )
    for rescale, dc, boundary in options:
        bands = Bands(
            radii=(4,), ranges=((0, 3), (4, 9)), rescale=rescale, dc=dc, boundary=boundary
        )
        list(versions(images, bands, MEAN))

    assert torch.equal(images, before)


def test_names_and_order_are_those_of_the_metrics() -> None:
    """Raw, nodc, then what `Bands.metrics` lists, fractions printed in short form."""
    bands = Bands(radii=(4, 2.5), ranges=((2.5, 10),))
    names = [name for name, _ in versions(_images(), bands, MEAN)]

    assert names == ["raw", "nodc", *bands.metrics]
    assert names[2:] == ["low@4", "high@4", "low@2.5", "high@2.5", "band@2.5:10"]


@pytest.mark.parametrize("size", [(16, 24), (24, 16), (15, 32), (33, 20)])
@pytest.mark.parametrize("edge", ["lt", "le"])
def test_a_radius_is_equal_cycles_per_pixel_where_images_are_not_square(
    size: tuple[int, int], edge: str
) -> None:
    """The disc is round in frequency, in bins of the shorter side; the full complex FFT agrees."""
    height, width = size
    images = torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(0))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    distance = min(size) * np.sqrt(rows**2 + columns**2)
    bands = Bands(radii=(2.3, 4.1, 7.7), edge=edge, dc="drop")
    cut = dict(versions(images, bands, MEAN))
    for radius in bands.radii:
        mask = distance < radius
        low = np.fft.ifft2(np.fft.fft2(images.double().numpy()) * mask).real

        assert np.abs(cut[f"low@{radius:g}"].numpy() - low).max() < 1e-6
        assert np.abs(cut[f"high@{radius:g}"].numpy() - (images.numpy() - low)).max() < 1e-6


@pytest.mark.parametrize("boundary", ["periodic", "mirror"])
@pytest.mark.parametrize("edge", ["lt", "le"])
def test_turned_images_give_turned_versions(edge: str, boundary: str) -> None:
    """Height and width are treated alike: the versions of the transposed image are transposed."""
    images = torch.rand((2, 3, 18, 27), generator=torch.Generator().manual_seed(0))
    bands = Bands(radii=(3, 4.5, 6), ranges=((2, 5),), edge=edge, boundary=boundary)
    turned = dict(versions(images.transpose(2, 3).contiguous(), bands, MEAN))
    for name, cut in versions(images, bands, MEAN):
        torch.testing.assert_close(turned[name].transpose(2, 3), cut, rtol=0, atol=1e-6)


def test_the_farthest_frequency_of_images_that_are_not_square() -> None:
    """16 x 24 pixels: 8 bins of the shorter side either way, so the corner lies at 8 sqrt(2)."""
    Bands(radii=(11.3,)).require_frequencies(16, 24)
    with pytest.raises(FieldError, match=r"below 11\.31, .* images of 24x16 pixels"):
        Bands(radii=(11.4,)).require_frequencies(16, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radii": (4, 0)}, r"radii: expected a list, each a number above 0, got \[4, 0\]"),
        ({"radii": (-1,)}, r"radii: expected a list, each a number above 0, got \[-1\]"),
        ({"radii": (4, 4.0)}, r"radii\.1: 4 is listed twice; remove one"),
        ({"radii": (23,)}, r"radii: 23 leaves .* below 22\.63, .* images of 32 pixels"),
        ({"radii": (23,), "boundary": "mirror"}, "radii: 23 leaves"),
        ({"ranges": ((6, 6),)}, r"ranges\.0: \[6, 6\] is empty; give the lower end first"),
        ({"ranges": ((9, 4),)}, r"ranges\.0: \[9, 4\] is empty; give the lower end first"),
        ({"ranges": ((-1, 6),)}, r"ranges: expected .*, got \[\[-1, 6\]\]"),
        ({"ranges": ((4.3, 4.4),)}, r"ranges: 4\.3:4\.4 leaves .* wider ranges"),
        ({"ranges": ((23, 30),)}, "ranges: 23:30 leaves"),
        ({"edge": "nope"}, "edge: expected one of lt, le, got 'nope'"),
    ],
)
def test_bands_without_frequencies_are_refused(options: dict[str, Any], message: str) -> None:
    """A radius outside the image would make an empty version, whose accuracy says nothing."""
    with pytest.raises(FieldError, match=message):
        Bands(**options).require_frequencies(32)


def test_all_that_is_wrong_with_bands_is_reported_at_once() -> None:
    """Every field outside its limits has an error of its own."""
    with pytest.raises(FieldError) as caught:
        Bands(edge="nope", radii=(0,), every=-1, ranges=((4, 2), (1, 2), (1.0, 2.0)))
    errors = [str(error) for error in caught.value.errors]
    assert errors == [
        "radii: expected a list, each a number above 0, got [0]",
        "edge: expected one of lt, le, got 'nope'",
        "every: expected an integer from 0, got -1",
        "ranges.0: [4, 2] is empty; give the lower end first",
        "ranges.2: 1-2 is listed twice; remove one",
    ]


def test_the_edge_decides_what_the_outermost_radius_leaves() -> None:
    """The corner bin at sqrt(2) 16 is left to high by `lt`, while `le` would leave it nothing."""
    corner = math.hypot(16, 16)
    Bands(radii=(corner,), edge="lt").require_frequencies(32)
    with pytest.raises(FieldError, match="radii"):
        Bands(radii=(corner,), edge="le").require_frequencies(32)


class _Probe(nn.Module):
    """A small network with batch norm and dropout, which records how it is called."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)
        )
        self.head = nn.Linear(8, 10)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
        self.seen: list[torch.Tensor] = []
        self.states: set[tuple[object, ...]] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.clone())
        self.states.add(
            (
                any(module.training for module in self.modules()),
                torch.is_inference_mode_enabled(),
                torch.is_autocast_enabled("cpu"),
                x.dtype,
            )
        )
        return self.head(self.features(x).mean(dim=(2, 3)))


BANDS = Bands(radii=(4, 8), ranges=((4, 8),))
STD = (0.25, 0.2, 0.3)


def _evaluate(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, batch: int = 250
) -> dict[str, Scores]:
    return evaluate_bands(
        model,
        images,
        labels,
        bands=BANDS,
        mean=MEAN.tolist(),
        std=STD,
        device="cpu",
        batch_size=batch,
    )


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 37 uint8 images (N, H, W, C) and labels."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (37, 32, 32, 3), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, 10, (37,), generator=generator)


def test_normalisation_comes_after_the_split(
    pictures: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """What the model sees of a version is (version - mean) / std, in float32."""
    model = _Probe()
    images, labels = pictures
    scores = _evaluate(model, images, labels)
    pixels = images.permute(0, 3, 1, 2).float() / 255
    mean, std = MEAN.view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)

    expected = [(v - mean) / std for _, v in versions(pixels, BANDS, MEAN)]
    for seen, version in zip(model.seen, expected, strict=True):
        torch.testing.assert_close(seen, version, rtol=0, atol=1e-5)
    assert list(scores) == ["raw", "nodc", *BANDS.metrics]


def test_scores_do_not_depend_on_batches_or_order(
    pictures: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Predictions belong to the images, whatever stands beside them."""
    images, labels = pictures
    model = _Probe()
    whole = _evaluate(model, images, labels)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(2))
    shuffled = _evaluate(model, images[order], labels[order], batch=7)
    for name, scores in whole.items():
        other = shuffled[name]

        assert other.predictions.tolist() == scores.predictions[order.numpy()].tolist()
        assert (other.top1, other.top5, other.majority) == (
            scores.top1,
            scores.top5,
            scores.majority,
        )
        assert other.loss == pytest.approx(scores.loss, rel=1e-6)


def test_batches_are_scored_as_one_split(pictures: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Images that arrive in batches of any sizes, empty ones too, give the scores of the whole."""
    images, labels = pictures
    model = _Probe()
    whole = _evaluate(model, images, labels)
    cuts = (0, 5, 5, 6, 30, 37)
    batches = ((images[a:b], labels[a:b]) for a, b in itertools.pairwise(cuts))
    parts = evaluate_batches(
        model, batches, bands=BANDS, mean=MEAN.tolist(), std=STD, device="cpu"
    )

    assert list(parts) == list(whole)
    for name, scores in whole.items():
        assert parts[name].predictions.tolist() == scores.predictions.tolist()
        assert parts[name].loss == pytest.approx(scores.loss, rel=1e-6)


def test_only_what_is_wanted_is_scored(pictures: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Named versions alone cost a forward pass, and score as they do among all."""
    model = _Probe()
    whole = _evaluate(model, *pictures)
    model.seen.clear()
    some = evaluate_bands(
        model,
        *pictures,
        bands=BANDS,
        mean=MEAN.tolist(),
        std=STD,
        device="cpu",
        only={"high@8", "nodc"},
    )

    assert list(some) == ["nodc", "high@8"]
    assert len(model.seen) == 2
    for name, scores in some.items():
        assert scores.loss == whole[name].loss


def test_statistics_are_estimated_on_each_version() -> None:
    """They are the plain mean over the batches of means and unbiased variances, in double."""
    generator = torch.Generator().manual_seed(1)
    training = torch.randint(0, 256, (300, 32, 32, 3), generator=generator, dtype=torch.uint8)
    images, labels = training[:20], torch.arange(20) % 10
    bands = Bands(radii=(4, 8), bn="reestimate")
    model = _Probe()
    seen: dict[str, list[torch.Tensor]] = {}
    norm = model.features[1]
    norm.register_forward_hook(
        lambda layer, _x, _y: seen.setdefault("mean", []).append(layer.running_mean.clone())
    )
    norm.register_forward_hook(
        lambda layer, _x, _y: seen.setdefault("var", []).append(layer.running_var.clone())
    )
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate_bands(
        model,
        images,
        labels,
        bands=bands,
        mean=MEAN.tolist(),
        std=STD,
        device="cpu",
        training=training,
    )

    batches = list(calibration_batches(training))
    assert [len(batch) for batch in batches] == [128, 128]
    mean, std = MEAN.view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    names = ["raw", "nodc", *bands.metrics]
    # The last calls are those of the evaluation, one a version.
    used = {
        key: dict(zip(names, values[-len(names) :], strict=True)) for key, values in seen.items()
    }
    for name in names:
        moments = []
        for batch in batches:
            pixels = batch.permute(0, 3, 1, 2).float() / 255
            version = dict(versions(pixels, bands, MEAN))[name]
            reached = model.features[0].double()((version.double() - mean) / std)
            model.features[0].float()
            moments.append((reached.mean(dim=(0, 2, 3)), reached.var(dim=(0, 2, 3))))
        own = [torch.stack(one).mean(dim=0).float() for one in zip(*moments, strict=True)]
        if name == "raw":
            own = [kept["features.1.running_mean"], kept["features.1.running_var"]]
        torch.testing.assert_close(used["mean"][name], own[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(used["var"][name], own[1], rtol=1e-4, atol=1e-5)


def test_estimating_statistics_leaves_the_model_as_it_was(
    pictures: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Twice the same scores, raw as without; no bit of the model, its modes or momenta changes."""
    images, labels = pictures
    model = _Probe().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    places = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    bands = dataclasses.replace(BANDS, bn="reestimate")

    def evaluate(bands: Bands) -> dict[str, Scores]:
        return evaluate_bands(
            model,
            images,
            labels,
            bands=bands,
            mean=MEAN.tolist(),
            std=STD,
            device="cpu",
            training=images,
        )

    first, kept, again = evaluate(bands), evaluate(BANDS), evaluate(bands)

    assert {name: one.loss for name, one in first.items()} == {
        name: one.loss for name, one in again.items()
    }
    assert first["raw"].loss == kept["raw"].loss
    assert all(first[name].loss != kept[name].loss for name in ("nodc", *BANDS.metrics))
    assert all(module.training for module in model.modules())
    assert model.features[1].momentum == 0.1
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.data_ptr() == places[name]


def test_a_model_that_fails_while_statistics_are_estimated_is_left_alone(
    pictures: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Statistics, momentum and mode of its norms are put back after an error, too."""
    model = nn.Sequential(nn.BatchNorm2d(3), _Failing())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    bands = Bands(bn="reestimate")
    with pytest.raises(RuntimeError, match="no answer"):
        evaluate_bands(
            model,
            *pictures,
            bands=bands,
            mean=MEAN.tolist(),
            std=STD,
            device="cpu",
            training=pictures[0],
        )

    assert model[0].training
    assert model[0].momentum == 0.1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_statistics_need_training_images(pictures: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Without any the question cannot be answered, and is not answered otherwise."""
    with pytest.raises(ValueError, match="needs training images"):
        evaluate_bands(
            _Probe(),
            *pictures,
            bands=Bands(bn="reestimate"),
            mean=MEAN.tolist(),
            std=STD,
            device="cpu",
        )


def test_the_model_is_as_before(pictures: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Neither weights, statistics nor any module's mode change; inside it is eval and float32."""
    model = _Probe()
    model.train()
    model.features[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    with torch.autocast("cpu", torch.bfloat16):
        _evaluate(model, *pictures)

    assert model.states == {(False, True, False, torch.float32)}
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


class _Failing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(f"no answer to {tuple(x.shape)}")


def test_the_state_is_put_back_after_an_error(
    pictures: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """A model that fails is left in its mode, and torch with the precisions it had."""
    model = _Failing()
    backends = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    precisions = [backend.fp32_precision for backend in backends]
    with pytest.raises(RuntimeError, match="no answer"):
        _evaluate(model, *pictures)

    assert model.training
    assert [backend.fp32_precision for backend in backends] == precisions
    assert not torch.is_inference_mode_enabled()


def test_no_images_are_an_error() -> None:
    """An empty split has no accuracy."""
    with pytest.raises(ValueError, match="no images"):
        _evaluate(_Probe(), torch.zeros(0, 32, 32, 3, dtype=torch.uint8), torch.zeros(0))


def test_metrics_name_every_version(pictures: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A record has the accuracy and the majority of every version, and the loss on raw images."""
    scores = _evaluate(_Probe(), *pictures)
    flat = named_metrics(scores)

    assert flat["top1"] == scores["raw"].top1
    assert flat["nodc"] == scores["nodc"].top1
    assert flat["high@8"] == scores["high@8"].top1
    assert flat["majority.high@8"] == scores["high@8"].majority
    assert set(flat) == {
        *("top1", "top5", "loss", "nodc", *BANDS.metrics),
        *(f"majority.{name}" for name in scores),
    }
    assert all(map(is_metric, flat))


def test_every_trained_metric_of_the_table_is_computed(
    pictures: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """A row that an objective may name has a value, on every version where the row says so."""
    flat = named_metrics(_evaluate(_Probe(), *pictures))

    assert {*names("trained"), *names_on(("nodc", *BANDS.metrics))} <= set(flat)


@pytest.mark.skipif(not IMAGENETTE.is_dir(), reason="the real images are not here")
def test_real_photographs_split_exactly() -> None:
    """On photographs, too, the float32 half spectrum stays within 1e-6 of the procedure."""
    data = load(ParquetImages(root=str(IMAGENETTE)))
    images = torch.tensor(data.evaluation.images[:16]).permute(0, 3, 1, 2) / 255
    cut = dict(versions(images, Bands(radii=(10,), dc="drop"), torch.tensor(data.mean)))
    low = _published_low(images, 10, inclusive=False)

    assert np.abs(cut["low@10"].numpy() - low).max() < 1e-6
    assert (cut["low@10"] + cut["high@10"] - images).abs().max() <= 1e-6


def test_further_metrics_are_evaluated_on_every_version() -> None:
    """A metric given by name is measured on whole images and on every band version."""

    def mean_label(logits: torch.Tensor, labels: torch.Tensor) -> float:
        assert logits.shape == (8, 10)
        return float(labels.float().mean())

    images = torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))
    scores = evaluate_bands(
        model,
        images,
        torch.arange(8),
        bands=Bands(radii=(4,)),
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        device="cpu",
        extra={"mean_label": mean_label},
    )
    named = {name: v for name, v in named_metrics(scores).items() if name.startswith("mean_label")}
    expected = ["mean_label", "mean_label.nodc", "mean_label.low@4", "mean_label.high@4"]
    assert named == dict.fromkeys(expected, 3.5)
