"""Inputs of the benchmarks: images, networks, and our side of each comparison."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmsearch.bands import evaluate_bands
from gmsearch.evaluate import Scores
from gmsearch.experiment import Bands, Recipe
from gmsearch.models import build
from gmsearch.networks import Candidate, GmNetSpec, candidate_from
from gmsearch.train import InMemory, train

CLASSES = 10
EPOCHS = 10**6  # more than are ever run
MEAN, STD = (0.47, 0.45, 0.41), (0.27, 0.27, 0.29)
RECIPE = {"batch_size": 128, "optimizer": "sgd", "lr": 0.01, "weight_decay": 5e-4}


def pictures(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Return uint8 (N, size, size, 3) and int64 (N,).

    Smooth with some grain, so that they compress about as photographs do: 2.5 KB as a PNG of 32
    pixels, where those of Imagenette take 2.3 KB.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, size // 4, size // 4, generator=generator)
    smooth = functional.interpolate(coarse, size=(size, size), mode="bicubic")
    noise = torch.randn(smooth.shape, generator=generator)
    images = (smooth * 255 + noise * 4).clamp(0, 255).to(torch.uint8)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return images.permute(0, 2, 3, 1).contiguous(), labels


def small_candidate(stem: str = "imagenet") -> GmNetSpec:
    """Return GmNet 16-32-64, depths 1-2-1, k 5, ratio 2; the imagenet stem has stride 2."""
    return GmNetSpec(
        stem_width=16, widths=(16, 32, 64), depths=(1, 2, 1), kernel_size=5, mlp_ratio=2, stem=stem
    )


def small(stem: str = "imagenet") -> nn.Module:
    """Return the network of `small_candidate`."""
    return network(small_candidate(stem))


def network(candidate: Candidate, num_classes: int = CLASSES) -> nn.Module:
    """Return the network of a candidate, its weights drawn from seed 0."""
    return build(candidate, num_classes=num_classes, seed=0)


def preset(name: str) -> nn.Module:
    """Return a preset for ImageNet's 1000 classes."""
    return network(candidate_from({"preset": name}), num_classes=1000)


def epochs(
    model: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe
) -> Callable[[], object]:
    """Return our side of training: a function that trains one more epoch per call.

    Args:
        model: On the device it is trained on.
        images: uint8 (N, H, W, C).
        labels: int64 (N,).
        recipe: With more epochs than are asked for.
    """
    device = next(model.parameters()).device
    source = InMemory(images, labels, recipe, mean=MEAN, std=STD, device=device)
    steps = train(model, source, recipe, seed=0)
    return lambda: next(steps)


def evaluation(
    model: nn.Module, images: Tensor, labels: Tensor, bands: Bands, *only: str
) -> Callable[[], dict[str, Scores]]:
    """Return our side of evaluation, on the model's device: the scores of the named versions."""
    model = model.to(memory_format=torch.channels_last)
    return functools.partial(
        evaluate_bands,
        model,
        images,
        labels,
        bands=bands,
        mean=MEAN,
        std=STD,
        device=next(model.parameters()).device,
        only=only,
    )


def timed(
    work: Callable[[], object], images: int, device: torch.device | str = "cpu"
) -> Callable[[], float]:
    """Return a function that does the work and returns its seconds per image."""
    device = torch.device(device)

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def seconds() -> float:
        wait()
        start = time.perf_counter()
        work()
        wait()
        return (time.perf_counter() - start) / images

    return seconds


def normalised(images: Tensor) -> Tensor:
    """Return float32 (N, C, H, W), channels_last, of uint8 (N, H, W, C)."""
    mean, std = (torch.tensor(values, device=images.device) for values in (MEAN, STD))
    pixels = (images.float() / 255 - mean) / std
    return pixels.permute(0, 3, 1, 2)
