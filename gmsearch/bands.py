"""Accuracy by frequency band: band versions of images, and a model's scores on each of them.

An image of n x n pixels in 0..1 is split per channel, before normalisation, by a hard disc in its
DFT: d is the Euclidean distance of a bin from the zero frequency, low keeps d < r (`edge: lt`) or
d <= r (`le`), high is the image minus low, a band the difference of two lows. So low + high is the
image, and the mean (DC) is in low. Filtered values leave 0..1; they are neither clipped nor
rounded (arXiv 2503.22841; procedure of Wang et al., CVPR 2020, there with d < r, `rescale: max`
and `dc: drop`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from gmsearch.candidate import Bands
from gmsearch.errors import DataError
from gmsearch.evaluate import Scores, score

# Floats of a batch on a CPU, which is faster while a batch stays in its cache: 170 images of 32
# pixels, 3 of 224.
_CPU_BATCH = 2**19


def versions(
    images: torch.Tensor, bands: Bands, mean: torch.Tensor
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the versions of a batch one at a time, by the name of their metric.

    First `raw`, the images themselves; then `nodc`, each less its own mean per channel, nothing
    put back; then `low@r` and `high@r` by radius, and `band@a:b`, which from 0 on holds the mean.

    Where a high-pass or band image has lost its mean, `bands.dc` says what it gets instead: the
    data set's mean, its own, or nothing. `rescale: max` divides each filtered image by its own
    maximum over pixels and channels before that; images without a positive value are left.
    `boundary: mirror` filters the even extension of the image to twice its sides, which has no
    seam; radii keep their meaning, in bins of the image: a bin of the extension counts half.

    Args:
        images: (N, C, H, W), float, 0..1, on any device; not modified.
        bands: What to cut and how.
        mean: Mean pixel of the data set, (C,), 0..1.

    Raises:
        DataError: Where bands are asked for and the images are not square.
        FieldError: For a radius or a range that leaves a version without a frequency.
    """
    own_mean = images.mean(dim=(2, 3), keepdim=True)
    yield "raw", images
    yield "nodc", images - own_mean
    if not bands.radii and not bands.ranges:
        return
    check(bands, images.shape[2], images.shape[3])
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


def check(bands: Bands, height: int, width: int) -> None:
    """Raise DataError or FieldError where the bands do not fit images of this size."""
    if height != width:
        raise DataError(
            f"frequency bands need square images, these are {width}x{height}; "
            "set data.resolution, which crops them"
        )
    bands.require_frequencies(height)


class _LowPass:
    """Low-pass images of one batch; its spectrum is computed once for all radii."""

    def __init__(self, images: torch.Tensor, bands: Bands) -> None:
        self._side = images.shape[2]
        self._bands = bands
        extended = _even(images) if bands.boundary == "mirror" else images
        self._spectrum = torch.fft.rfft2(extended)

    def __call__(self, radius: float) -> torch.Tensor:
        """Return what lies nearer than the radius: (N, C, H, W)."""
        mask = _mask(self._side, radius, self._bands, self._spectrum.device)
        # The inverse along the rows is left out where the mask keeps nothing of a column.
        kept = torch.fft.ifft(self._spectrum[..., : mask.shape[1]] * mask, dim=2)
        smooth: torch.Tensor = torch.fft.irfft(kept, n=self._spectrum.shape[2], dim=3)
        return smooth[..., : self._side, : self._side]


def _even(images: torch.Tensor) -> torch.Tensor:
    """Return the even extension (N, C, 2H, 2W): the images and their mirror images."""
    wide = torch.cat([images, images.flip(3)], dim=3)
    return torch.cat([wide, wide.flip(2)], dim=2)


@functools.lru_cache(maxsize=64)
def _mask(side: int, radius: float, bands: Bands, device: torch.device) -> torch.Tensor:
    """Return 1 where the half spectrum is kept, only the columns in which anything is."""
    kept = _kept(side, radius, bands)
    return torch.from_numpy(kept[:, kept.any(axis=0)]).to(device, torch.float32)


def _kept(side: int, radius: float, bands: Bands) -> np.ndarray:
    """Return whether the low-pass keeps a bin of the half spectrum: bool (n, n // 2 + 1)."""
    fold = 2 if bands.boundary == "mirror" else 1
    n = side * fold
    rows, columns = np.fft.fftfreq(n, 1 / n), np.fft.rfftfreq(n, 1 / n)
    distance = np.hypot(rows[:, None], columns[None, :]) / fold
    kept: np.ndarray = distance < radius if bands.edge == "lt" else distance <= radius
    return kept


def _rescaled(images: torch.Tensor, bands: Bands) -> torch.Tensor:
    if bands.rescale == "none":
        return images
    largest = images.amax(dim=(1, 2, 3), keepdim=True)
    return images / torch.where(largest > 0, largest, torch.ones_like(largest))


def _with_mean(images: torch.Tensor, mean: torch.Tensor | None) -> torch.Tensor:
    return images if mean is None else images + mean


def evaluate_bands(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    bands: Bands,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device | str,
    batch_size: int = 250,
) -> dict[str, Scores]:
    """Score a model on every version of the images, in one pass over them.

    The model runs in eval mode and float32; its modes are as before afterwards. Every version is
    normalised as (x - mean) / std after the split.

    Args:
        model: Takes (N, C, H, W), gives logits (N, K); on `device`.
        images: uint8 (N, H, W, C), on any device.
        labels: (N,), int64.
        bands: Which versions, besides `raw` and `nodc`.
        mean: Mean pixel of the data set, per channel, 0..1.
        std: Standard deviation of its pixels.
        device: Where the model is.
        batch_size: Images per forward pass; fewer on a CPU where that is faster.

    Returns:
        Scores by version, `raw` first.

    Raises:
        DataError: Where bands are asked for and the images are not square.
        FieldError: For radii outside the images' frequencies.
        ValueError: Where there is no image.
    """
    device = torch.device(device)
    mean_pixel = torch.tensor(mean, dtype=torch.float32, device=device)
    scale = 1 / torch.tensor(std, dtype=torch.float32, device=device).view(1, -1, 1, 1)
    shift = -mean_pixel.view(1, -1, 1, 1) * scale
    logits: dict[str, list[torch.Tensor]] = {}
    if device.type == "cpu":
        batch_size = min(batch_size, max(1, _CPU_BATCH // max(1, images[:1].numel())))
    with _measuring(model, device):
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].to(device).permute(0, 3, 1, 2)
            pixels = batch.to(torch.float32, memory_format=torch.contiguous_format)
            pixels /= 255  # (N, C, H, W)
            for name, version in versions(pixels, bands, mean_pixel):
                normal = torch.mul(version, scale).add_(shift)
                normal = normal.contiguous(memory_format=torch.channels_last)
                logits.setdefault(name, []).append(model(normal))
        if not logits:
            raise ValueError("there are no images to evaluate on")
        labels = labels.to(device)
        return {name: score(torch.cat(parts), labels) for name, parts in logits.items()}


@contextlib.contextmanager
def _measuring(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Eval mode, no gradients, float32 all through; puts back what was before."""
    modes = [(module, module.training) for module in model.modules()]
    # Convolutions on a GPU round to TF32 unless told otherwise.
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined] # made when torch loads
    backends = (convolution, torch.backends.cuda.matmul)
    precisions = [backend.fp32_precision for backend in backends]
    try:
        model.eval()
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        for module, training in modes:
            module.training = training
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = precision


def metrics(scores: dict[str, Scores]) -> dict[str, float]:
    """Return the flat metrics of a record: accuracies, loss, and `majority.` of every version."""
    raw = scores["raw"]
    flat = {"top1": raw.top1, "top5": raw.top5, "loss": raw.loss}
    flat |= {name: one.top1 for name, one in scores.items() if name != "raw"}
    return flat | {f"majority.{name}": one.majority for name, one in scores.items()}
