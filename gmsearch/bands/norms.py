"""Batch-norm statistics of each version, re-estimated on training images of that version.

A network's statistics are those of whole images. Band images have others, so that a network may
fail on them for its normalisation alone; with `bn: reestimate` every version but `raw` gets
statistics of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

IMAGES = 1024
"""How many training images the statistics are estimated on, or all where there are fewer."""
BATCH = 128

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def drawn(images: Tensor) -> Iterator[Tensor]:
    """Yield the images that statistics are estimated on: uint8 (B, H, W, C).

    Args:
        images: uint8 (N, H, W, C), the training split in any order.
    """
    for rows in drawn_rows(len(images)):
        yield images[rows.to(images.device)]


def drawn_rows(n: int) -> Iterator[Tensor]:
    """Yield which of n images those are, in equal batches; always the same."""
    size = min(BATCH, n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    for rows in torch.split(order[:IMAGES], size):
        if len(rows) == size:  # every batch has the same weight in the mean
            yield rows


class Norms:
    """The batch norms of a model that is in eval mode, and a set of statistics per version.

    A network without batch norm has nothing to estimate: its versions are as they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = [
            m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None
        ]
        self._sets: dict[str, list[dict[str, Tensor]]] = {}

    @contextlib.contextmanager
    def learning(self, version: str) -> Iterator[None]:
        """Let what the model is given meanwhile enter the version's statistics.

        The layers normalise by their batch, and a statistic is the plain mean over the batches
        (of unbiased variances), as torch.optim.swa_utils.update_bn makes it.
        """
        if version not in self._sets:
            self._sets[version] = [
                {name: torch.zeros_like(getattr(layer, name)) for name in _BUFFERS}
                for layer in self._layers
            ]
        momenta = [layer.momentum for layer in self._layers]
        with self.of(version):
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
    def of(self, version: str) -> Iterator[None]:
        """Put the version's statistics in place, where it has any; the kept ones afterwards."""
        statistics = self._sets.get(version)
        if statistics is None:
            yield
            return
        kept = [{name: getattr(layer, name) for name in _BUFFERS} for layer in self._layers]
        try:
            self._put(statistics)
            yield
        finally:
            self._put(kept)

    def _put(self, statistics: list[dict[str, Tensor]]) -> None:
        for layer, own in zip(self._layers, statistics, strict=True):
            for name, tensor in own.items():
                setattr(layer, name, tensor)
