"""Augmentation of whole batches on the device: mixup, cutmix, random erasing.

The formulas and limits are timm's (`Mixup` in batch mode, `RandomErasing` in pixel mode). As in
timm's training with its prefetcher, batches are mixed before rectangles are erased.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gmsearch.experiment import Recipe
from gmsearch.seeds import derive_seed

_ERASED = (0.02, 1 / 3)  # smallest and largest share of the area
_LOG_ASPECT = math.log(1 / 0.3)  # the longer side over the shorter, at most
_ATTEMPTS = 10  # to draw a rectangle smaller than the image


@dataclasses.dataclass(frozen=True, slots=True)
class Targets:
    """Labels of a batch, mixed or not."""

    labels: Tensor
    """int64 (B,)."""
    others: Tensor | None = None
    """int64 (B,): labels of the images mixed in; None if nothing is mixed."""
    share: float = 1.0
    """Weight of `labels`; `others` have the rest."""

    def split(self, parts: int) -> list[Targets]:
        """Return the targets of nearly equal parts of the batch."""
        labels = self.labels.tensor_split(parts)
        others = self.others.tensor_split(parts) if self.others is not None else [None] * parts
        return [Targets(y, o, self.share) for y, o in zip(labels, others, strict=True)]

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean cross-entropy of float32 (B, classes) to the mixed, smoothed labels."""
        loss = functional.cross_entropy(logits, self.labels, label_smoothing=label_smoothing)
        if self.others is None:
            return loss
        other = functional.cross_entropy(logits, self.others, label_smoothing=label_smoothing)
        return self.share * loss + (1 - self.share) * other


class Mixer:
    """Mixes and erases the batches of one epoch in turn."""

    def __init__(self, recipe: Recipe, seed: int, epoch: int, device: torch.device) -> None:
        """Seed the generators from (seed, epoch); noise is drawn on the device."""
        self._recipe = recipe
        self._rng = np.random.default_rng(derive_seed(seed, "mix", epoch))
        self._noise = torch.Generator(device).manual_seed(derive_seed(seed, "noise", epoch))

    def __call__(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
        """Return the batch, changed in place, and its targets."""
        targets = Targets(labels)
        if self._recipe.mixup > 0 or self._recipe.cutmix > 0:
            share = mix(x, self._recipe.mixup, self._recipe.cutmix, self._rng)
            targets = Targets(labels, labels.flip(0), share)
        if self._recipe.random_erasing > 0:
            self._erase(x)
        return x, targets

    def _erase(self, x: Tensor) -> None:
        """Replace a rectangle in some images by standard normal noise."""
        rows, boxes = rectangles(
            len(x), (x.shape[2], x.shape[3]), self._recipe.random_erasing, self._rng
        )
        if len(rows) == 0:
            return
        index = torch.from_numpy(rows).to(x.device)
        top, left, bottom, right = torch.from_numpy(boxes).to(x.device)[:, :, None, None, None]
        down = torch.arange(x.shape[2], device=x.device)[:, None]
        along = torch.arange(x.shape[3], device=x.device)
        inside = (down >= top) & (down < bottom) & (along >= left) & (along < right)
        shape = (len(rows), *x.shape[1:])
        noise = torch.randn(shape, generator=self._noise, device=x.device, dtype=x.dtype)
        x[index] = torch.where(inside, noise, x[index])


def mix(x: Tensor, mixup: float, cutmix: float, rng: np.random.Generator) -> float:
    """Mix (B, C, H, W) in place with its reverse; return the weight of an image's own label.

    Mixup by a share of beta(mixup, mixup), or cutmix: a rectangle of the area 1 - beta(cutmix,
    cutmix), clipped at the border, its true area counted. With both, a fair draw per batch.
    """
    cut = cutmix > 0
    if mixup > 0 and cutmix > 0:
        cut = rng.random() < 0.5
    alpha = cutmix if cut else mixup
    share = float(rng.beta(alpha, alpha))
    if share == 1.0:
        return share
    if not cut:
        x.lerp_(x.flip(0), 1 - share)
        return share
    height, width = x.shape[2:]
    side = math.sqrt(1 - share)
    middle = [int(rng.integers(0, length)) for length in (height, width)]
    (top, bottom), (left, right) = (
        (max(at - int(length * side) // 2, 0), min(at + (int(length * side) + 1) // 2, length))
        for at, length in zip(middle, (height, width), strict=True)
    )
    x[:, :, top:bottom, left:right] = x.flip(0)[:, :, top:bottom, left:right]
    return 1 - (bottom - top) * (right - left) / (height * width)


def rectangles(
    n: int, size: tuple[int, int], probability: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of images to erase, (E,), and their boxes: top, left, bottom, right, (4, E).

    An image is not erased if no attempt gives a box smaller than the image.
    """
    height, width = size
    drawn = rng.random(n) < probability
    area = rng.uniform(*_ERASED, (n, _ATTEMPTS)) * height * width
    aspect = np.exp(rng.uniform(-_LOG_ASPECT, _LOG_ASPECT, (n, _ATTEMPTS)))
    heights = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    widths = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (heights < height) & (widths < width)
    rows = np.flatnonzero(drawn & fits.any(1))
    first = fits[rows].argmax(1)
    heights, widths = heights[rows, first], widths[rows, first]
    top = rng.integers(0, height - heights + 1)
    left = rng.integers(0, width - widths + 1)
    return rows, np.stack([top, left, top + heights, left + widths])
