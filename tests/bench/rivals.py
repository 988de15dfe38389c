"""Baselines: the loops of timm's scripts, and the code that band images come from."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

import numpy as np
import torch
from PIL import Image
from timm.data.loader import PrefetchLoader, fast_collate
from timm.data.transforms import ToNumpy
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, accuracy
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from gmsearch import environment


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images transformed one by one with PIL and torchvision, from PNG files or arrays."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        transform: Callable[[Image.Image], Tensor],
        *,
        png: bool,
    ) -> None:
        self.labels = labels.tolist()
        self.transform = transform
        self.arrays = None if png else images  # a tensor: workers share its memory
        self.files = [_png(image) for image in images.numpy()] if png else None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image as float32 (C, H, W), and its label."""
        if self.files is None:
            image = Image.fromarray(self.arrays[index].numpy())
        else:
            image = Image.open(io.BytesIO(self.files[index])).convert("RGB")
        return self.transform(image), self.labels[index]


def prefetched(
    images: Tensor,
    labels: Tensor,
    transform: Callable[[Image.Image], object],
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch_size: int,
    device: str,
    training: bool,
) -> PrefetchLoader:
    """Return timm's loader: arrays through PIL, one worker per CPU, normalised on the device."""
    dataset = Pictures(images, labels, transform, png=False)
    loader = DataLoader(
        dataset,
        batch_size,
        shuffle=training,
        drop_last=training,
        num_workers=environment.cpu_count(),
        multiprocessing_context="forkserver",  # see `started`
        collate_fn=fast_collate,
        pin_memory=device != "cpu",
        persistent_workers=True,
    )
    return PrefetchLoader(loader, mean=mean, std=std, device=torch.device(device))


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def started(loader: DataLoader, threads: int) -> DataLoader:
    """Return a loader with its workers forked, then set the threads of this process.

    Workers that are forked after its threads have worked would wait for those threads for ever.
    """
    iter(loader)
    torch.set_num_threads(threads)
    return loader


def augmenting(
    size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Callable[[Image.Image], Tensor]:
    """Return pad-crop-flip of PIL images, then ToTensor and Normalize."""
    return transforms.Compose([*_crop_flip(size), plain(mean, std)])


def augmenting_bytes(size: int) -> Callable[[Image.Image], np.ndarray]:
    """Return pad-crop-flip of PIL images, left uint8 for a loader that normalises later."""
    return transforms.Compose([*_crop_flip(size), ToNumpy()])


def _crop_flip(size: int) -> list[nn.Module]:
    return [
        transforms.RandomCrop(size, padding=size // 8, padding_mode="reflect"),
        transforms.RandomHorizontalFlip(),
    ]


def plain(mean: tuple[float, ...], std: tuple[float, ...]) -> Callable[[Image.Image], Tensor]:
    """Return ToTensor and Normalize."""
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])


def epochs(
    model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], *, fast: bool = False
) -> Callable[[], object]:
    """Return a function that trains one more epoch per call, as timm's train.py does.

    Args:
        model: On its device.
        loader: Gives normalised images and labels on that device.
        fast: With its `--amp --amp-dtype bfloat16 --channels-last`.
    """
    device = next(model.parameters()).device
    layout = torch.channels_last if fast else torch.contiguous_format
    model = model.to(memory_format=layout)
    optimizer = create_optimizer_v2(model, "sgd", lr=0.01, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss().to(device)

    def epoch() -> float:
        model.train()
        for x, y in loader:
            images = x.contiguous(memory_format=layout)
            with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                loss = criterion(model(images), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return epoch


def validate(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Return top-1 and loss as timm's validate.py computes them, with meters per batch."""
    device = next(model.parameters()).device
    criterion = nn.CrossEntropyLoss().to(device)
    losses, top1, top5 = AverageMeter(), AverageMeter(), AverageMeter()
    model.eval()
    with torch.inference_mode():
        for images, labels in loader:
            x, y = images.to(device), labels.to(device)
            output = model(x)
            loss = criterion(output, y)
            acc1, acc5 = accuracy(output, y, topk=(1, 5))
            losses.update(loss.item(), len(x))
            top1.update(acc1.item(), len(x))
            top5.update(acc5.item(), len(x))
    return top1.avg / 100, losses.avg


def disc(size: int, radius: float) -> np.ndarray:
    """Return the origin's mask: 1 where a bin of the shifted spectrum is nearer than `radius`."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.sqrt((rows - size / 2) ** 2 + (columns - size / 2) ** 2)
    return (distance < radius).astype(np.float64)


def band_images(images: np.ndarray, masks: list[np.ndarray]) -> list[np.ndarray]:
    """Return low and high images of every mask as the origin computes them, by image and channel.

    A forward and an inverse complex transform for either side (Wang et al., CVPR 2020); its mask,
    there drawn anew for every radius, is given.

    Args:
        images: (N, H, W, C).
        masks: Of the shifted spectrum, (H, W).
    """
    made = []
    for mask in masks:
        for kept in (mask, 1 - mask):
            band = np.zeros(images.shape)
            for i, j in np.ndindex(images.shape[0], images.shape[3]):
                spectrum = np.fft.fftshift(np.fft.fft2(images[i, :, :, j])) * kept
                band[i, :, :, j] = np.real(np.fft.ifft2(np.fft.ifftshift(spectrum)))
            made.append(band)
    return made
