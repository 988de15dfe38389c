"""Batches of images in memory: uint8 on the device, augmented there in whole batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gmsearch.experiment import Recipe
from gmsearch.seeds import derive_seed
from gmsearch.train.augment import crops, jittered, resized


class InMemory:
    """Augmented, normalised, channels_last batches of images kept as bytes on the device."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        recipe: Recipe,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device | str = "cpu",
    ) -> None:
        """Copy the training split to the device.

        Args:
            images: uint8 (N, S, S, 3), on any device.
            labels: int64 (N,).
            recipe: batch size and augmentation.
            mean: mean pixel per channel, in 0..1; subtracted before division by `std`.
            std: standard deviation of the pixels per channel.
            device: the device of images and batches.
        """
        assert recipe.auto_augment is None, "policies work on images as they are decoded"
        self._recipe = recipe
        self._labels = labels.to(device)
        self._size = images.shape[1]
        self._margin = self._size // 8 if recipe.augment == "crop_flip" else 0
        self._side = self._size + 2 * self._margin
        self._pixels = self._packed(images.to(device))
        # One multiplication and one addition per pixel: (x / 255 - mean) / std.
        self._scale = 1 / (255 * torch.tensor(std, device=device))
        self._shift = -torch.tensor(mean, device=device) / torch.tensor(std, device=device)
        # A short last batch would give batch norm different statistics.
        self._batch_size = min(recipe.batch_size, len(labels))

    def __len__(self) -> int:
        """Return the number of full batches of an epoch; remaining images are left out."""
        return len(self._labels) // self._batch_size

    def _packed(self, images: Tensor) -> Tensor:
        """Return int32 (N * side * side,): padded, three channels and a zero byte per pixel.

        Indexing one number per pixel is about ten times as fast as indexing three.
        """
        index = torch.arange(-self._margin, self._size + self._margin, device=images.device).abs()
        index = torch.where(index < self._size, index, 2 * (self._size - 1) - index)
        padded = images[:, index][:, :, index] if self._margin else images
        return functional.pad(padded, (0, 1)).view(torch.int32).flatten()

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 (B, C, H, W) and int64 (B,); the same on every device."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "data", epoch))
        n, device = len(self._labels), self._labels.device
        order = torch.randperm(n, generator=generator).to(device)
        flips = torch.rand(n, generator=generator).lt(0.5).to(device)
        if self._recipe.augment == "random_resized_crop":
            places = crops(n, self._size, self._recipe.crop_scale, generator).to(device)
        else:
            places = torch.randint(2 * self._margin + 1, (2, n), generator=generator).to(device)
        colours = torch.Generator().manual_seed(derive_seed(seed, "colour", epoch))
        for start in range(0, len(self) * self._batch_size, self._batch_size):
            rows = slice(start, start + self._batch_size)
            index = order[rows]
            x = self._augmented(index, flips[rows], places[:, rows])
            if self._recipe.color_jitter > 0:
                x = self._coloured(x, colours)
            x = torch.addcmul(self._shift, x, self._scale)
            yield x.permute(0, 3, 1, 2), self._labels[index]

    def _augmented(self, index: Tensor, flip: Tensor, places: Tensor) -> Tensor:
        """Return float (B, H, W, 3) in 0..255; crop and flip are one gather where possible."""
        along = torch.arange(self._size, device=index.device).expand(len(index), -1)
        if self._recipe.augment in ("none", "random_resized_crop"):
            x = self._taken(index, along, along)
            return x if self._recipe.augment == "none" else resized(x, places, flip)
        columns = torch.where(flip[:, None], along.flip(1), along) + places[1][:, None]
        return self._taken(index, along + places[0][:, None], columns)

    def _taken(self, index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return float (B, H, W, 3): the pixels at the given rows and columns of each image."""
        lines = (index[:, None] * self._side + rows) * self._side
        at = (lines[:, :, None] + columns[:, None, :]).flatten()
        pixels = self._pixels.index_select(0, at).view(torch.uint8)
        return pixels.view(len(index), self._size, self._size, 4).float()[..., :3]

    def _coloured(self, x: Tensor, generator: torch.Generator) -> Tensor:
        strength = self._recipe.color_jitter
        low, high = max(0.0, 1 - strength), 1 + strength
        factors = torch.rand(3, len(x), generator=generator) * (high - low) + low
        order = torch.randperm(3, generator=generator).tolist()
        return jittered(x / 255, factors.to(x.device), order) * 255
