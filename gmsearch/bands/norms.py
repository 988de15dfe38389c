"""Batch-norm statistics of each version of the images, re-estimated on training images.

A network's own statistics describe whole images. Band images have different statistics, so a
network may fail on them because of its normalisation alone; `bn: reestimate` estimates them anew
for every version except `raw`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

IMAGES = 1024
"""Number of training images used to estimate statistics, or all of a smaller split."""
BATCH = 128

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def calibration_batches(images: Tensor) -> Iterator[Tensor]:
    """Yield the images used to estimate statistics: uint8 (B, H, W, C).

    Args:
        images: uint8 (N, H, W, C), the training split in any order.
    """
    for rows in calibration_rows(len(images)):
        yield images[rows.to(images.device)]


def calibration_rows(n: int) -> Iterator[Tensor]:
    """Yield the indices of those images among n, int64 (B,), in equal batches; always the same."""
    size = min(BATCH, n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    for rows in torch.split(order[:IMAGES], size):
        if len(rows) == size:  # every batch has the same weight in the mean
            yield rows


class Norms:
    """Batch norms of a model in eval mode, and a set of statistics for each version.

    A network without batch norm has nothing to estimate; its versions are evaluated as they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = [
            m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None
        ]
        self._sets: dict[str, list[dict[str, Tensor]]] = {}

    @contextlib.contextmanager
    def estimating(self, version: str) -> Iterator[None]:
        """Update the version's statistics from every batch the model sees inside the block.

        The layers normalise by their batch, and a statistic is the plain mean over the batches
        (of unbiased variances), as in torch.optim.swa_utils.update_bn.
        """
        if version not in self._sets:
            self._sets[version] = [
                {name: torch.zeros_like(getattr(layer, name)) for name in _BUFFERS}
                for layer in self._layers
            ]
        momenta = [layer.momentum for layer in self._layers]
        with self.using(version):
            try:
                for layer in self._layers:
                    layer.momentum = None
                    layer.training = True
                yield
            finally:
                for layer, momentum in zip(self._layers, momenta, strict=True):
                    layer.momentum = momentum
                    layer.training = False

    @contextlib.contextmanager
    def using(self, version: str) -> Iterator[None]:
        """Use the version's statistics, if any, inside the block; then restore the model's."""
        statistics = self._sets.get(version)
        if statistics is None:
            yield
            return
        own = [{name: getattr(layer, name) for name in _BUFFERS} for layer in self._layers]
        try:
            self._put(statistics)
            yield
        finally:
            self._put(own)

    def _put(self, statistics: list[dict[str, Tensor]]) -> None:
        for layer, buffers in zip(self._layers, statistics, strict=True):
            for name, tensor in buffers.items():
                setattr(layer, name, tensor)
