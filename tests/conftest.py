"""A tiny study on generated images that trains in fractions of a second."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
import signal
import sys

# Networks as small as these gain nothing from a second thread, and where a core is taken lose
# most of their speed by it. Before torch is loaded; for the processes that tests start, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is slow, not wrong.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that rewrites the messages of `tests/space/messages/`."""
    parser.addoption("--rewrite-messages", action="store_true", help="write the messages of now")


TINY_SPACE = """\
study: tiny
model:
  family: gmnet
  stem_width: 4
  widths: [4, 8]
  depths: [1, 1]
  mlp_ratio: 2
  kernel_size: 3
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu6, gelu]}
baseline: {gate.product: none, gate.activation: relu6}
data: {name: spectral, resolution: 32, classes: 3, train_images: 60, evaluation_images: 30}
train: {epochs: 2, batch_size: 16, lr: 3e-3}
bands: {radii: [4]}
objectives: {top1: maximize, flops: minimize}
search: {method: grid, seeds: [0, 1]}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, so that two processes end at the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decode into a cache of the tests' own, shared by them and by the processes they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GMSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("GMSEARCH_DATA", raising=False)
        yield


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """Return the tiny space file."""
    return TINY_SPACE


@pytest.fixture
def tiny_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_text: str) -> Path:
    """Write the tiny space into a folder of its own, which becomes the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    """Run the tiny space to its end, once for all tests; return the folder, only to be read."""
    from small_studies import run_all

    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tiny.yaml").write_text(tiny_text, encoding="utf-8")
        run_all(Path("tiny.yaml"))
    return folder


@pytest.fixture
def finished(tiny_space: Path, tiny_study: Path) -> Path:
    """Copy the finished tiny study to the folder of the tiny space; return the space's path."""
    shutil.copytree(tiny_study / "studies", "studies")
    return tiny_space


@dataclasses.dataclass(frozen=True)
class Done:
    """How a call of the command line ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def gmsearch() -> Callable[..., Done]:
    """Return a function that runs the command line in this process and the current folder.

    It saves the seconds a process of its own takes to import torch; tests that are about the
    process itself start one.
    """

    def call(*arguments: str) -> Done:
        from gmsearch import plugins
        from gmsearch.cli import main

        out, err = io.StringIO(), io.StringIO()
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["gmsearch", *arguments])
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as end,
            ):
                main()
            plugins.unload()  # as the end of a process would
        for number, handler in handlers.items():
            signal.signal(number, handler)
        assert isinstance(end.value.code, int)
        return Done(end.value.code, out.getvalue(), err.getvalue())

    return call
