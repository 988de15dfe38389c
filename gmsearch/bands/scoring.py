"""Scores of one model on every version of a split, in one pass over its images."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from gmsearch.bands.norms import Norms, calibration_batches
from gmsearch.bands.split import versions
from gmsearch.evaluate import MetricFunction, Scores, Tally
from gmsearch.experiment import Bands

# Floats of a batch on a CPU, which is faster while a batch stays in its cache: 170 images of 32
# pixels, 3 of 224.
_CPU_BATCH = 2**19


def evaluate_bands(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    bands: Bands,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device | str,
    batch_size: int = 250,
    training: Tensor | None = None,
    only: Collection[str] | None = None,
    extra: Mapping[str, MetricFunction] | None = None,
) -> dict[str, Scores]:
    """Score a model on every version of images in memory; see `evaluate_batches`.

    Args:
        model: maps float32 (N, C, H, W) to logits (N, K); on `device`.
        images: uint8 (N, H, W, C), on any device.
        labels: int64 (N,).
        bands: the versions besides `raw` and `nodc`.
        mean: mean pixel of the data set, per channel, in 0..1.
        std: standard deviation of its pixels, per channel.
        device: the device of the model.
        batch_size: images per forward pass; fewer on a CPU where that is faster.
        training: uint8 (N, H, W, C), the training split, for `bn: reestimate`.
        only: names of the versions to evaluate; None for all.
        extra: further metrics by name, evaluated on every version.
    """
    batch_size = min(batch_size, _room(images, torch.device(device)))
    return evaluate_batches(
        model,
        zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True),
        bands=bands,
        mean=mean,
        std=std,
        device=device,
        training=None if training is None else calibration_batches(training),
        only=only,
        extra=extra,
    )


def evaluate_batches(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    bands: Bands,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device | str,
    training: Iterable[Tensor] | None = None,
    only: Collection[str] | None = None,
    extra: Mapping[str, MetricFunction] | None = None,
) -> dict[str, Scores]:
    """Score a model on every version of the images, in one pass over them.

    The model runs in eval mode and true float32 (TF32 off); its modes and statistics are restored
    afterwards. Every version is normalised as (x - mean) / std after the split.

    Args:
        model: maps float32 (N, C, H, W) to logits (N, K); on `device`.
        batches: uint8 (B, H, W, C) and int64 (B,), of any sizes, on any device; large ones are
            split where that is faster.
        bands: the versions besides `raw` and `nodc`, and whether their batch-norm statistics are
            kept or re-estimated.
        mean: mean pixel of the data set, per channel, in 0..1.
        std: standard deviation of its pixels, per channel.
        device: the device of the model.
        training: uint8 (B, H, W, C), equal batches of training images, for `bn: reestimate`.
        only: names of the versions to evaluate; None for all.
        extra: further metrics by name, evaluated on every version.

    Returns:
        Scores by version, `raw` first.

    Raises:
        FieldError: for radii outside the images' frequencies.
        ValueError: where there is no image, or no training image to estimate statistics from.
    """
    device = torch.device(device)
    normal = _Normal(bands, mean, std, device, only)
    tallies: dict[str, Tally] = {}
    with _true_float32_evaluation(model, device):
        norms = Norms(model)
        if bands.bn == "reestimate":
            _estimate(model, norms, normal, training)
        for images, labels in _equal_batches(batches, device):
            targets = labels.to(device)
            for name, version in normal.versions(images):
                with norms.using(name):
                    tallies.setdefault(name, Tally(extra)).add(model(version), targets)
        if not tallies:
            raise ValueError("there are no images to evaluate on")
        return {name: tally.scores() for name, tally in tallies.items()}


def _estimate(
    model: nn.Module, norms: Norms, normal: _Normal, training: Iterable[Tensor] | None
) -> None:
    """Estimate the statistics of every version but `raw`, in one pass over the images."""
    if training is None:
        raise ValueError("bn: reestimate needs training images")
    for images in training:
        for name, version in normal.versions(images):
            if name != "raw":
                with norms.estimating(name):
                    model(version)


def _room(images: Tensor, device: torch.device) -> int:
    """Return the fastest number of images of this size per forward pass."""
    if device.type != "cpu" or len(images) == 0:
        return max(1, len(images))
    return max(1, _CPU_BATCH // images[0].numel())


def _equal_batches(
    batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Split batches into equal parts that fit in the cache of a CPU."""
    for images, labels in batches:
        parts = -(-len(images) // _room(images, device))
        if parts:
            pairs = (images.tensor_split(parts), labels.tensor_split(parts))
            yield from zip(*pairs, strict=True)


class _Normal:
    """Versions of batches as the model's input: normalised, channels_last, float32."""

    def __init__(
        self,
        bands: Bands,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        only: Collection[str] | None,
    ) -> None:
        self._bands = bands if only is None else bands.narrowed(only)
        names = ("raw", "nodc", *self._bands.metrics)
        self._wanted = [name for name in names if only is None or name in only]
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self._scale = 1 / torch.tensor(std, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        self._shift = -self._mean.view(1, -1, 1, 1) * self._scale

    def versions(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the wanted versions of uint8 (B, H, W, C) as (B, C, H, W), by name.

        All share one buffer: a version is overwritten by the next.
        """
        batch = images.to(self._mean.device).permute(0, 3, 1, 2)
        pixels = batch.to(torch.float32, memory_format=torch.contiguous_format)
        pixels /= 255
        # Fresh memory for every version would cost more than the arithmetic.
        scaled = torch.empty_like(pixels)
        normal = torch.empty_like(pixels, memory_format=torch.channels_last)
        for name, version in versions(pixels, self._bands, self._mean):
            if name in self._wanted:
                torch.addcmul(self._shift, version, self._scale, out=scaled)
                yield name, normal.copy_(scaled)
            if name == self._wanted[-1]:
                return


@contextlib.contextmanager
def _true_float32_evaluation(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Use eval mode, no gradients and true float32 inside the block; restore all afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    # Convolutions on a GPU use TF32 by default.
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


def named_metrics(scores: dict[str, Scores]) -> dict[str, float]:
    """Return the metrics of a record by name.

    These are accuracies, the loss, `majority.VERSION` of every version, and plugins' metrics:
    `NAME` on whole images and `NAME.VERSION` on every other version.
    """
    raw = scores.get("raw")
    flat = {} if raw is None else raw.on_whole_images()
    flat |= {name: one.top1 for name, one in scores.items() if name != "raw"}
    flat |= {f"majority.{name}": one.majority for name, one in scores.items()}
    return flat | {
        metric if version == "raw" else f"{metric}.{version}": value
        for version, one in scores.items()
        for metric, value in one.extra.items()
    }
