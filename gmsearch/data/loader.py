"""Batches of streamed images: timm's transforms, decoded ahead by worker processes.

An augmented image depends only on (seed, epoch, image), not on the number of processes: every
image has its own seed, and the order is drawn here. timm's loader accepts neither an order nor a
seed per image, so torch's is used as timm uses it, without timm's normalisation and random
erasing, which run on the device.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip

from gmsearch.data.source import Listing
from gmsearch.data.stream import ImageStream
from gmsearch.errors import DataError
from gmsearch.experiment import Preprocessing, Recipe
from gmsearch.seeds import derive_wide_seed

Transform = Callable[[Image.Image], Any]
_Key = tuple[int, int]
"""Index of an image in its listing, and the seed of its augmentation."""


class StreamedBatches:
    """Augmented, normalised, channels_last training batches of a stream, on the device."""

    def __init__(
        self, images: ImageStream, recipe: Recipe, *, device: torch.device | str, workers: int
    ) -> None:
        """Set up the training split.

        Args:
            images: at least one image.
            recipe: batch size and augmentation of single images; whole batches are not augmented.
            device: the device of the batches.
            workers: processes that decode ahead; 0 to decode in this process.
        """
        spec = images.preprocessing
        self._images = images
        self._transform = training_transform(recipe, spec)
        self._device = torch.device(device)
        self._workers = workers
        mean, std = (torch.tensor(p, device=device) for p in (spec.mean, spec.std))
        # One multiplication and one addition per pixel: (x / 255 - mean) / std.
        self._scale = 1 / (255 * std)
        self._shift = -mean / std
        # A short last batch would give batch norm different statistics.
        self._batch_size = min(recipe.batch_size, len(images))

    def __len__(self) -> int:
        """Return the number of full batches of an epoch; remaining images are left out."""
        return len(self._images) // self._batch_size

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float32 (B, C, H, W) and int64 (B,); the same for the same seed and epoch.

        Raises:
            DataError: for an image that cannot be decoded, naming it.
        """
        rng = np.random.default_rng(derive_wide_seed(seed, "stream", epoch))
        rows = self._images.shuffled(rng)[: len(self) * self._batch_size]
        seeds = rng.integers(2**63, size=len(rows))
        keys = list(zip(rows.tolist(), seeds.tolist(), strict=True))
        batches = _batched(keys, self._batch_size)
        for pixels, labels in _decoded(
            self._images.listing,
            self._transform,
            batches,
            workers=self._workers,
            pinned=self._device.type == "cuda",
        ):
            x = pixels.to(self._device, non_blocking=True)
            x = torch.addcmul(self._shift, x.float(), self._scale)
            yield x.permute(0, 3, 1, 2), labels.to(self._device, non_blocking=True)


def evaluation_batches(
    images: ImageStream,
    *,
    workers: int = 0,
    batch_size: int = 250,
    rows: np.ndarray | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 (B, H, W, C) and int64 (B,) in the order of the files, with the evaluation crop.

    Args:
        images: the split.
        workers: processes that decode ahead; 0 to decode in this process.
        batch_size: images per batch; the last may be short.
        rows: indices of the wanted images within the split; None for all.

    Raises:
        DataError: for an image that cannot be decoded, naming it.
    """
    wanted = images.rows if rows is None else images.rows[rows]
    batches = _batched([(row, 0) for row in wanted.tolist()], batch_size)
    transform = evaluation_transform(images.preprocessing)
    yield from _decoded(images.listing, transform, batches, workers=workers, pinned=False)


def evaluation_transform(spec: Preprocessing) -> Transform:
    """Return timm's transform: resize the shorter side to resolution / crop_pct, crop the centre.

    The resize is bicubic. Smaller images are enlarged, unlike those in memory.
    """
    return _without_tensor(
        create_transform(
            spec.resolution,
            is_training=False,
            use_prefetcher=True,
            interpolation="bicubic",
            crop_pct=spec.crop_pct,
        )
    )


def training_transform(recipe: Recipe, spec: Preprocessing) -> Transform:
    """Return the recipe's augmentation of single images, flips included.

    `random_resized_crop` is timm's, bilinear or bicubic at random; all others start from the
    evaluation crop. `auto_augment` or else `color_jitter` follows.
    """
    crop, after, _ = create_transform(
        spec.resolution,
        is_training=True,
        use_prefetcher=True,
        separate=True,
        scale=recipe.crop_scale,
        hflip=0.5,
        color_jitter=recipe.color_jitter,
        auto_augment=recipe.auto_augment,
        interpolation="random",
        mean=spec.mean,
    )
    if recipe.augment == "random_resized_crop":
        resized: Transform = Compose([crop, after])
        return resized
    steps: list[Any] = [evaluation_transform(spec)]
    if recipe.augment == "crop_flip":
        steps.append(RandomCrop(spec.resolution, spec.resolution // 8, padding_mode="reflect"))
    if recipe.augment != "none":
        steps.append(RandomHorizontalFlip())
    cropped: Transform = Compose([*steps, after])
    return cropped


def _without_tensor(transform: Compose) -> Transform:
    """Return the transform without its last step, which would make the image channels-first."""
    shortened: Transform = Compose(transform.transforms[:-1])
    return shortened


def _batched(keys: list[_Key], size: int) -> list[list[_Key]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _decoded(
    listing: Listing,
    transform: Transform,
    batches: Sequence[list[_Key]],
    *,
    workers: int,
    pinned: bool,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 (B, H, W, C) and int64 (B,); the workers end with this generator."""
    loader = DataLoader(
        _Images(listing, transform),
        batch_sampler=batches,
        collate_fn=_collate,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # not the global one, which the network uses
        multiprocessing_context=_forkserver() if workers else None,
        worker_init_fn=_exit_with_parent,
    )
    iterator = iter(loader)
    try:
        for _ in batches:
            with _preserved_rng_state() if workers == 0 else contextlib.nullcontext():
                decoded = _next(iterator)
            if isinstance(decoded, DataError):
                raise decoded
            yield decoded
    finally:
        del iterator  # a traceback would keep it, and its processes


def _next(iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except (RuntimeError, ConnectionError, FileNotFoundError, EOFError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        # Mostly out of memory; not the candidate's fault.
        raise ChildProcessError(f"a worker process that decodes images died ({error})") from error


class _Images(torch.utils.data.Dataset[Any]):
    """Decoded images by key."""

    def __init__(self, listing: Listing, transform: Transform) -> None:
        self._image = listing.image
        self._labels = listing.labels
        self._transform = transform

    def __getitem__(self, key: _Key) -> tuple[np.ndarray, int] | DataError:
        """Return uint8 (H, W, C) and the label, or the error of the image.

        An error raised in a worker would arrive wrapped in a traceback.
        """
        row, seed = key
        try:
            image = self._image(row)
        except DataError as error:
            return error
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - timm's transforms draw from it
        torch.default_generator.manual_seed(seed)
        return np.asarray(self._transform(image)), int(self._labels[row])


def _collate(samples: list[tuple[np.ndarray, int] | DataError]) -> Any:
    for sample in samples:
        if isinstance(sample, DataError):
            return sample
    pixels, labels = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(pixels)), torch.tensor(labels, dtype=torch.int64)


@contextlib.contextmanager
def _preserved_rng_state() -> Iterator[None]:
    """Restore the global generators, so that decoding in this process changes nothing."""
    python, torch_ = random.getstate(), torch.get_rng_state()
    numpy = np.random.get_state()  # noqa: NPY002 - timm's transforms draw from it
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - as above
        torch.set_rng_state(torch_)


def _exit_with_parent(_worker: int) -> None:
    """End this worker when the trial that it decodes for ends in any way.

    torch watches the parent, which is the fork server here, and that waits for its children.
    """
    threading.Thread(
        target=_await_end, args=(multiprocessing.parent_process(),), daemon=True
    ).start()


def _await_end(trial: Any) -> None:
    trial.join()
    os._exit(1)


def _forkserver() -> Any:
    """Return a context that forks workers from a server with this module loaded and no threads.

    A plain fork would copy the locks that threads of torch, Ray or CUDA hold.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context
