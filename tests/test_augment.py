"""Augmentation in whole batches: what torchvision and timm do to single images, to rounding."""

from __future__ import annotations

import random
import types
from typing import Any

import numpy as np
import pytest
import timm.data.mixup
import torch
from timm.data.mixup import Mixup, mixup_target
from timm.data.random_erasing import RandomErasing
from timm.loss import SoftTargetCrossEntropy
from torch import Tensor
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from gmsearch.experiment import recipe_from
from gmsearch.train.augment import crops, jittered, resized
from gmsearch.train.mix import Mixer, Targets, mix, rectangles


@pytest.fixture
def images() -> Tensor:
    """Return noise, float (16, 24, 24, 3) in 0..1."""
    return torch.rand(16, 24, 24, 3, generator=torch.Generator().manual_seed(1))


def test_crops_are_resized_as_torchvision_does(images: Tensor) -> None:
    """Each crop, mirrored or not, is torchvision's resized_crop, bilinear."""
    generator = torch.Generator().manual_seed(0)
    boxes = crops(16, 24, (0.08, 1), generator)
    flip = torch.arange(16) % 2 == 1
    found = resized(images, boxes, flip).permute(0, 3, 1, 2)
    for image, mirrored, box, out in zip(images, flip, boxes.T.tolist(), found, strict=True):
        expected = tv.resized_crop(image.permute(2, 0, 1), *box, [24, 24], antialias=True)
        expected = tv.horizontal_flip(expected) if mirrored else expected
        assert torch.allclose(out, expected, atol=1e-5)


def test_crops_are_drawn_as_torchvision_does() -> None:
    """Area, height and place of many crops are distributed as RandomResizedCrop's."""
    n, size = 3000, 32
    torch.manual_seed(0)
    image = torch.zeros(1, size, size)
    get = RandomResizedCrop.get_params
    theirs = torch.tensor([get(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(n)])
    ours = crops(n, size, (0.08, 1), torch.Generator().manual_seed(0)).T
    top, left, height, width = ours.T
    assert int(torch.minimum(top, left).min()) == 0
    assert int(torch.maximum(top + height, left + width).max()) == size
    for one, other in zip(measured(ours), measured(theirs), strict=True):
        apart = (one.mean() - other.mean()).abs() / (one.var() / n + other.var() / n).sqrt()
        assert float(apart) < 4
        assert float(one.std() / other.std()) == pytest.approx(1, abs=0.1)


def measured(boxes: Tensor) -> list[Tensor]:
    """Return area, height, top and left."""
    top, left, height, width = boxes.T.double()
    return [height * width, height, top, left]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_colours_change_as_torchvision_does(images: Tensor, order: list[int]) -> None:
    """Brightness, contrast and saturation, in any order, are torchvision's."""
    factors = torch.rand(3, 16, generator=torch.Generator().manual_seed(2)) * 1.2 + 0.4
    steps = [tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation]
    found = jittered(images, factors, order).permute(0, 3, 1, 2)
    for i, image in enumerate(images.permute(0, 3, 1, 2)):
        expected = image
        for which in order:
            expected = steps[which](expected, float(factors[which, i]))
        assert torch.allclose(found[i], expected, atol=1e-4)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 0.2)])
def test_batches_are_mixed_as_timm_does(
    monkeypatch: pytest.MonkeyPatch, mixup: float, cutmix: float
) -> None:
    """Given the same draws, images and shares are those of timm's Mixup, batch after batch."""
    rng = np.random.default_rng(3)
    always = iter([0.0] * 1000)  # timm first asks whether to mix at all

    def rand() -> float:
        asked = next(calls) % 2 == 1 and mixup > 0 and cutmix > 0
        return rng.random() if asked else next(always)

    drawn = types.SimpleNamespace(rand=rand, beta=rng.beta, randint=rng.integers)
    numpy = types.SimpleNamespace(random=drawn, sqrt=np.sqrt, clip=np.clip)
    monkeypatch.setattr(timm.data.mixup, "np", numpy)
    theirs: Any = Mixup(mixup, cutmix, label_smoothing=0.1, num_classes=7)
    own = np.random.default_rng(3)
    for seed in range(20):
        calls = iter(range(2))
        x = torch.randn(6, 3, 9, 12, generator=torch.Generator().manual_seed(seed))
        y = torch.arange(6) % 7
        ours = x.clone().to(memory_format=torch.channels_last)
        share = mix(ours, mixup, cutmix, own)
        expected, target = theirs(x.clone(), y)
        assert torch.allclose(ours, expected, atol=1e-6)
        assert ours.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(mixup_target(y, 7, share, 0.1), target, atol=1e-6)


def test_the_loss_of_mixed_labels_is_timms() -> None:
    """Cross-entropy to two smoothed labels by their shares is timm's soft-target loss."""
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(8) % 5
    expected = SoftTargetCrossEntropy()(logits, mixup_target(y, 5, 0.3, 0.1))
    found = Targets(y, y.flip(0), 0.3).loss(logits, 0.1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_rectangles_are_erased_as_timm_does() -> None:
    """As many images as timm's RandomErasing changes, the same area of each, in the mean."""
    n, size = 3000, 32
    random.seed(0)
    torch.manual_seed(0)
    theirs = RandomErasing(probability=0.25, mode="const", device="cpu")(
        torch.ones(n, 1, size, size)
    )
    areas = theirs.eq(0).double().mean((1, 2, 3))
    rows, (top, left, bottom, right) = rectangles(n, (size, size), 0.25, np.random.default_rng(0))
    assert min(top.min(), left.min()) >= 0
    assert max(bottom.max(), right.max()) <= size
    assert len(rows) / n == pytest.approx(float((areas > 0).double().mean()), abs=0.03)
    erased = (bottom - top) * (right - left) / size**2
    their = areas[areas > 0].numpy()
    apart = abs(erased.mean() - their.mean())
    assert apart < 4 * np.sqrt(erased.var() / len(erased) + their.var() / len(their))


def test_what_is_erased_is_standard_normal() -> None:
    """Inside the rectangles stands noise of mean 0 and deviation 1, outside nothing changes."""
    recipe = recipe_from({"random_erasing": 1})
    mixer = Mixer(recipe, 0, 1, torch.device("cpu"))
    x, _ = mixer(torch.full((64, 3, 32, 32), 9.0), torch.zeros(64, dtype=torch.int64))
    changed = x[x != 9]
    assert changed.numel() > 5000
    assert float(changed.mean()) == pytest.approx(0, abs=0.05)
    assert float(changed.std()) == pytest.approx(1, abs=0.05)
    assert (x != 9).all(1).eq((x != 9).any(1)).all()
