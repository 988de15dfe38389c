"""Band versions of images.

An image with pixels in 0..1 is split per channel, before normalisation, by a hard disc in its
DFT: d is the Euclidean distance of a bin from the zero frequency, low keeps d < r (`edge: lt`) or
d <= r (`le`), high is the image minus low, a band the difference of two lows. So low + high is the
image, and the mean (DC) is in low. Filtered values leave 0..1; they are neither clipped nor
rounded (arXiv 2503.22841; procedure of Wang et al., CVPR 2020, there with d < r, `rescale: max`
and `dc: drop`).

Distances are in bins of the shorter side: bin (i, j) of H x W pixels, S the smaller of the two,
lies at d = S sqrt((i / H)^2 + (j / W)^2). So a radius is the same number of cycles per pixel in
every direction, and a disc in frequency stays a disc where images are not square.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch

from gmsearch.experiment import Bands


def versions(
    images: torch.Tensor, bands: Bands, mean: torch.Tensor
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the versions of a batch one at a time, by the name of their metric.

    First `raw`, the images themselves; then `nodc`, each minus its own mean per channel, with
    nothing added back; then `low@r` and `high@r` by radius, and `band@a:b`, which from 0 on holds
    the mean.

    Where a high-pass or band image has lost its mean, `bands.dc` says what it gets instead: the
    data set's mean, its own, or nothing. `rescale: max` divides each filtered image by its own
    maximum over pixels and channels before that; images without a positive value are left
    unchanged. `boundary: mirror` filters the even extension of the image to twice its sides, which
    has no seam; radii keep their meaning, in bins of the image: a bin of the extension counts
    half.

    Args:
        images: (N, C, H, W), float, 0..1, on any device; not modified.
        bands: Radii, ranges and options of the versions.
        mean: Mean pixel of the data set, (C,), 0..1.

    Raises:
        FieldError: For a radius or a range that leaves a version without a frequency.
    """
    yield "raw", images
    own_mean = images.mean(dim=(2, 3), keepdim=True)
    yield "nodc", images - own_mean
    if not bands.radii and not bands.ranges:
        return
    bands.require_frequencies(images.shape[2], images.shape[3])
    dc = {"dataset_mean": mean.view(1, -1, 1, 1), "image_mean": own_mean, "drop": None}[bands.dc]
    low = _LowPass(images, bands)
    for radius in bands.radii:
        smooth = low(radius)
        yield f"low@{radius:g}", _rescaled(smooth, bands)
        yield f"high@{radius:g}", _with_mean(_rescaled(images - smooth, bands), dc)
    for start, stop in bands.ranges:
        name = f"band@{start:g}:{stop:g}"
        if start > 0:
            yield name, _with_mean(_rescaled(low(stop) - low(start), bands), dc)
        else:
            yield name, _rescaled(low(stop), bands)


class _LowPass:
    """Low-pass filter of one batch; the spectrum is computed once for all radii."""

    def __init__(self, images: torch.Tensor, bands: Bands) -> None:
        self._size = (images.shape[2], images.shape[3])
        self._bands = bands
        extended = _even(images) if bands.boundary == "mirror" else images
        # No version uses columns beyond the largest radius.
        masks = [_mask(*self._size, r, bands, images.device) for r in _outermost(bands)]
        columns = max(mask.shape[1] for mask in masks)
        self._spectrum = torch.fft.fft(torch.fft.rfft(extended, dim=3)[..., :columns], dim=2)

    def __call__(self, radius: float) -> torch.Tensor:
        """Return the frequencies within the radius as images: (N, C, H, W)."""
        height, width = self._size
        mask = _mask(height, width, radius, self._bands, self._spectrum.device)
        # Columns that the mask drops entirely need no inverse along the rows.
        kept = torch.fft.ifft(self._spectrum[..., : mask.shape[1]] * mask, dim=2)
        fold = 2 if self._bands.boundary == "mirror" else 1
        smooth: torch.Tensor = torch.fft.irfft(kept, n=width * fold, dim=3)
        return smooth[..., :height, :width]


def _even(images: torch.Tensor) -> torch.Tensor:
    """Return the even extension (N, C, 2H, 2W): the images and their mirror images."""
    wide = torch.cat([images, images.flip(3)], dim=3)
    return torch.cat([wide, wide.flip(2)], dim=2)


def _outermost(bands: Bands) -> list[float]:
    return [*bands.radii, *(stop for _, stop in bands.ranges)]


@functools.lru_cache(maxsize=64)
def _mask(
    height: int, width: int, radius: float, bands: Bands, device: torch.device
) -> torch.Tensor:
    """Return 1 where the half spectrum is kept; columns that keep nothing are cut off."""
    kept = _kept(height, width, radius, bands)
    return torch.from_numpy(kept[:, kept.any(axis=0)]).to(device, torch.float32)


def _kept(height: int, width: int, radius: float, bands: Bands) -> np.ndarray:
    """Return whether the low-pass keeps a bin of the half spectrum: bool (h, w // 2 + 1)."""
    fold = 2 if bands.boundary == "mirror" else 1
    h, w = height * fold, width * fold
    side = min(height, width)
    # For square images these are multiples of 1/2, so rounding moves no bin across the edge.
    rows = np.rint(np.fft.fftfreq(h) * h) * (side / height / fold)
    columns = np.rint(np.fft.rfftfreq(w) * w) * (side / width / fold)
    distance = np.hypot(rows[:, None], columns[None, :])
    kept: np.ndarray = distance < radius if bands.edge == "lt" else distance <= radius
    return kept


def _rescaled(images: torch.Tensor, bands: Bands) -> torch.Tensor:
    if bands.rescale == "none":
        return images
    largest = images.amax(dim=(1, 2, 3), keepdim=True)
    return images / torch.where(largest > 0, largest, torch.ones_like(largest))


def _with_mean(images: torch.Tensor, mean: torch.Tensor | None) -> torch.Tensor:
    return images if mean is None else images + mean
