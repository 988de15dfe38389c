"""Decoding of images to uint8 RGB arrays of one size.

Grey images become three equal channels, 16-bit grey is scaled to 8 bits, CMYK is converted
without a colour profile, palettes are looked up, alpha is dropped, the first frame of an animation
is taken, and a camera's orientation mark is not applied: all as in torchvision's and timm's
loaders, except that these saturate 16-bit images.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, UnidentifiedImageError

from gmsearch.errors import DataError

DECODE_VERSION = 1
"""Increased when the same bytes give different pixels; part of the data's identity."""

_CHUNK = 512


def decoded(encoded: Iterable[tuple[str, bytes]], resolution: int | None) -> Iterator[np.ndarray]:
    """Decode images on all processors of this process, in order.

    Args:
        encoded: name and bytes of every image; names are for messages.
        resolution: side to resize and crop to; None requires squares of one size.

    Yields:
        uint8 arrays (n, S, S, 3).

    Raises:
        DataError: for the first image that is damaged or of another size, naming it.
    """
    first: tuple[str, int] | None = None
    remaining = iter(encoded)
    with thread_pool() as pool:
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            arrays = list(pool.map(lambda item: decode(item[0], item[1], resolution), chunk))
            first = first or (chunk[0][0], len(arrays[0]))
            for (name, _), array in zip(chunk, arrays, strict=True):
                if len(array) != first[1]:
                    raise DataError(
                        f"{name} has {len(array)} pixels a side, {first[0]} has {first[1]}; "
                        "set data.resolution to resize them"
                    )
            yield np.stack(arrays)


def decode(name: str, data: bytes, resolution: int | None) -> np.ndarray:
    """Return one image as uint8 RGB (S, S, 3); raises DataError naming it."""
    return np.asarray(fit(name, rgb(name, data), resolution))


def rgb(name: str, data: bytes) -> Image.Image:
    """Return one image as RGB of its own size; raises DataError naming it."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return _rgb(image)
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name} cannot be decoded (unknown format); replace or remove it"
        ) from error
    except Exception as error:  # Pillow's decoders raise nearly every exception on damaged bytes
        raise DataError(f"{name} cannot be decoded ({error}); replace or remove it") from error


def fit(name: str, image: Image.Image, resolution: int | None) -> Image.Image:
    """Resize the shorter side to `resolution` (antialiased bicubic), crop the centre.

    Smaller images are refused: enlarging them would leave their high bands empty.
    """
    width, height = image.size
    if resolution is None:
        if width != height:
            raise DataError(
                f"{name} is {width}x{height}, not square; set data.resolution to crop it"
            )
        return image
    short = min(width, height)
    if short < resolution:
        raise DataError(
            f"{name} is {width}x{height}, smaller than data.resolution {resolution}; enlarging "
            f"would leave its high frequencies empty; set {short} or less, or remove it"
        )
    width, height = width * resolution // short, height * resolution // short
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - resolution) / 2), round((height - resolution) / 2)
    return image.crop((left, top, left + resolution, top + resolution))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        wide = np.asarray(image, dtype=np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("more than 16 bits a channel")
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("floating-point pixels")
    elif image.mode == "P":
        image = image.convert("RGBA")  # else Pillow warns where the palette has transparency
    return image.convert("RGB")


def thread_pool() -> ThreadPoolExecutor:
    """Return a pool with a thread per available CPU; decoding releases the GIL."""
    if hasattr(os, "sched_getaffinity"):
        return ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    return ThreadPoolExecutor(os.cpu_count())
