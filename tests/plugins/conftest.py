"""Plugins of one test are not seen by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gmsearch import plugins


@pytest.fixture(autouse=True)
def _unloaded() -> Iterator[None]:
    """Take every plugin out of the tables after the test."""
    yield
    plugins.unload()


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a plugin file, the usual imports before its text."""

    def write(text: str, name: str = "mine.py") -> Path:
        head = "import torch\nfrom torch import nn\nfrom gmsearch.plugins import *\n"
        (tmp_path / name).write_text(head + text, encoding="utf-8")
        return tmp_path / name

    return write
