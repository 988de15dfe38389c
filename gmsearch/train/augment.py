"""Random crops and colour changes of whole batches, drawn per image."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_RATIO = (3 / 4, 4 / 3)
_ATTEMPTS = 10  # to draw a crop within the image
_GRAY = (0.2989, 0.587, 0.114)  # ITU-R 601, as torchvision rounds it


def crops(n: int, size: int, scale: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Return int64 (4, n): top, left, height, width of random crops of square images.

    Area and aspect ratio as in torchvision's RandomResizedCrop; the whole image where no attempt
    lies within it.
    """
    low, high = scale
    area = torch.rand(n, _ATTEMPTS, generator=generator) * (high - low) + low
    spread = torch.rand(n, _ATTEMPTS, generator=generator)
    ratio = torch.exp(math.log(_RATIO[0]) + spread * math.log(_RATIO[1] / _RATIO[0]))
    widths = (size * (area * ratio).sqrt()).round().long()
    heights = (size * (area / ratio).sqrt()).round().long()
    fits = (widths > 0) & (widths <= size) & (heights > 0) & (heights <= size)
    first = fits.long().argmax(1, keepdim=True)
    whole = ~fits.any(1)
    height = heights.gather(1, first)[:, 0].masked_fill(whole, size)
    width = widths.gather(1, first)[:, 0].masked_fill(whole, size)
    corner = torch.rand(2, n, generator=generator, dtype=torch.float64)
    room = size + 1 - torch.stack([height, width])
    top, left = (corner * room).long()
    return torch.stack([top, left, height, width])


def resized(images: Tensor, boxes: Tensor, flip: Tensor) -> Tensor:
    """Return crops of float (B, H, W, C), resized to its size and mirrored where `flip` is true.

    The resize is bilinear. A crop is never larger than the image, so no antialiasing is needed.
    """
    size = images.shape[1]
    middles = torch.arange(size, device=images.device) + 0.5
    top, left, height, width = boxes[:, :, None]

    def places(start: Tensor, length: Tensor) -> Tensor:
        """Return the coordinates of the output's pixels; a crop ends at its border."""
        inside = (middles * (length / size) - 0.5).clamp(min=0).minimum(length - 1)
        return (2 * (start + inside) + 1) / size - 1

    across = places(left, width)
    across = torch.where(flip[:, None], across.flip(1), across)
    grid = torch.empty(len(images), size, size, 2, device=images.device)
    grid[..., 0] = across[:, None, :]
    grid[..., 1] = places(top, height)[:, :, None]
    pixels = images.permute(0, 3, 1, 2)
    drawn = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return drawn.permute(0, 2, 3, 1).contiguous()


def jittered(images: Tensor, factors: Tensor, order: list[int]) -> Tensor:
    """Return float (B, H, W, 3) in 0..1 with brightness, contrast and saturation changed.

    Args:
        images: pixel values in 0..1.
        factors: (3, B), for brightness, contrast and saturation; 1 changes nothing.
        order: order in which the three are applied, for the whole batch.
    """
    gray = torch.tensor(_GRAY, device=images.device)
    for which in order:
        if which == 0:
            towards: Tensor | float = 0.0
        else:
            towards = (images @ gray)[..., None]
            if which == 1:
                towards = towards.mean((1, 2), keepdim=True)
        factor = factors[which][:, None, None, None]
        images = (images * factor + towards * (1 - factor)).clamp_(0, 1)
    return images
