"""Small image sets on disk, and a decode cache of each test's own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty decode cache, which the code under test uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GMSEARCH_CACHE", str(folder))
    return folder


@pytest.fixture
def pixels() -> Callable[..., np.ndarray]:
    """Return a maker of random uint8 images (n, side, side, 3)."""

    def make(n: int, side: int = 8, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)

    return make


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Return a maker of image files' bytes."""

    def make(array: np.ndarray, file_format: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, format=file_format)
        return buffer.getvalue()

    return make
