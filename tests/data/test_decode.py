"""Images of every kind become uint8 RGB of one size, or an error that names them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from gmsearch.data.decode import decode, decoded
from gmsearch.errors import DataError

Pixels = Callable[..., np.ndarray]
Encode = Callable[..., bytes]


def _saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_formats_give_the_pixels(
    file_format: str, pixels: Pixels, encode: Encode
) -> None:
    """What was saved comes back bit for bit."""
    array = pixels(1)[0]

    assert (decode("x", encode(array, file_format), None) == array).all()


def test_grey_becomes_three_equal_channels() -> None:
    """8-bit grey, with or without alpha, and black-and-white."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    image = Image.fromarray(grey)
    with_alpha = Image.merge("LA", [image, Image.new("L", (8, 8), 7)])
    for one in (image, with_alpha):
        array = decode("x", _saved(one, "PNG"), None)

        assert (array == grey[:, :, None]).all()
        assert array.shape == (8, 8, 3)
    two = decode("x", _saved(Image.fromarray(grey > 100), "PNG"), None)
    assert (two == np.where(grey > 100, 255, 0)[:, :, None]).all()


def test_sixteen_bits_are_scaled_not_saturated() -> None:
    """0..65535 becomes 0..255, to the nearest."""
    wide = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    for file_format in ("PNG", "TIFF"):
        array = decode("x", _saved(Image.fromarray(wide), file_format), None)

        assert (array == np.rint(wide / 257)[:, :, None]).all()


def test_alpha_is_dropped(pixels: Pixels) -> None:
    """The colours under a transparent pixel stand."""
    array = pixels(1)[0]
    image = Image.fromarray(array)
    image.putalpha(0)

    assert (decode("x", _saved(image, "PNG"), None) == array).all()


@pytest.mark.parametrize("transparency", [None, 1, b"\x00\x80\xff"])
def test_palettes_are_looked_up(transparency: int | bytes | None) -> None:
    """Indices become colours, with transparent entries as with opaque ones."""
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
    colours = np.array([[255, 0, 0], [0, 200, 10], [5, 6, 7]], dtype=np.uint8)
    image = Image.frombytes("P", (8, 8), indices.tobytes())
    image.putpalette(colours.tobytes())
    options = {} if transparency is None else {"transparency": transparency}

    assert (decode("x", _saved(image, "PNG", **options), None) == colours[indices]).all()


def test_cmyk_is_converted_without_a_profile() -> None:
    """Red, green and blue are what cyan, magenta and yellow leave, darkened by black."""
    ink = np.zeros((8, 8, 4), dtype=np.uint8)
    ink[..., 0], ink[:4, :, 3] = 255, 255
    array = decode("x", _saved(Image.fromarray(ink, mode="CMYK"), "TIFF"), None)

    assert (array[:4] == 0).all()
    assert (array[4:] == [0, 255, 255]).all()


def test_an_animation_gives_its_first_frame() -> None:
    """Later frames are left out."""
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = _saved(first, "GIF", save_all=True, append_images=[second])

    assert (decode("x", data, None) == [255, 0, 0]).all()


@pytest.mark.parametrize("size", [(40, 40), (40, 33), (33, 47), (90, 32), (32, 32)])
@pytest.mark.parametrize("resolution", [32, 17])
def test_resizing_is_torchvisions(
    size: tuple[int, int], resolution: int, pixels: Pixels, encode: Encode
) -> None:
    """Antialiased bicubic of the shorter side and centre crop, pixel for pixel."""
    width, height = size
    array = pixels(1, 90)[0, :height, :width]
    oracle = Compose([Resize(resolution, InterpolationMode.BICUBIC), CenterCrop(resolution)])
    expected = np.asarray(oracle(Image.fromarray(array)))

    assert (decode("x", encode(array), resolution) == expected).all()


def test_order_is_kept_over_many_chunks(pixels: Pixels, encode: Encode) -> None:
    """Threads decode, the order stays."""
    arrays = pixels(1200, 2)
    parts = list(decoded(((str(i), encode(a)) for i, a in enumerate(arrays)), None))

    assert len(parts) > 1
    assert (np.concatenate(parts) == arrays).all()


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"GIF89a\x01"])
def test_what_is_no_image_is_named(data: bytes) -> None:
    """The message names the image and the remedy, in one line."""
    with pytest.raises(DataError, match=r"^photo 7 cannot be decoded \(.*\); replace") as caught:
        decode("photo 7", data, None)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_half_an_image_is_named(file_format: str, pixels: Pixels, encode: Encode) -> None:
    """A truncated file is damage, not a picture with a grey half."""
    data = encode(pixels(1, 64)[0], file_format)
    with pytest.raises(DataError, match="photo 7 cannot be decoded"):
        decode("photo 7", data[: len(data) // 2], None)


def test_pixels_beyond_sixteen_bits_are_refused() -> None:
    """Floating-point and 32-bit images have no known range."""
    for array in (np.ones((8, 8), dtype=np.float32), np.full((8, 8), 70000, dtype=np.int32)):
        with pytest.raises(DataError, match="cannot be decoded"):
            decode("x", _saved(Image.fromarray(array), "TIFF"), None)


def test_sizes_that_do_not_fit_are_refused(pixels: Pixels, encode: Encode) -> None:
    """Not square, of two sizes, or smaller than asked for: each names the image and the remedy."""
    wide = encode(pixels(1, 40)[0, :32])
    with pytest.raises(DataError, match=r"photo is 40x32, not square; set data\.resolution"):
        decode("photo", wide, None)
    two = [("one", encode(pixels(1, 8)[0])), ("other", encode(pixels(1, 9)[0]))]
    with pytest.raises(DataError, match=r"other has 9 pixels a side, one has 8; set data\.resol"):
        list(decoded(two, None))
    with pytest.raises(DataError, match=r"photo is 40x32, smaller than data\.resolution 33"):
        decode("photo", wide, 33)
