"""Spaces that are valid but too large: refused in one line, or remarked on, and at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmsearch.driver.extent import MAX_LISTED
from gmsearch.wording import magnitude

WIDE = "{int: [1, 1000000000000]}"
FINE = "{float: [1e-4, 0.5], steps: 1000}"
SPACE = """\
study: large
model: {{family: gmnet, stem_width: {stem}, widths: [{width}, 8], depths: [{depth}, 1],
  kernel_size: {kernel}, gate: {{product: {{choice: [none, self]}}, activation: relu6}}}}
baseline: {{{baseline}}}
data: {{{data}}}
train: {{epochs: 1, batch_size: 32, lr: {lr}, weight_decay: {lr}, label_smoothing: {lr}}}
objectives: {{top1: maximize, flops: minimize}}
search: {{method: {method}, seeds: 1}}
"""
SPECTRAL = "name: spectral, classes: 2, train_images: 64, evaluation_images: 32, resolution: 32"
SMALL = {
    "stem": "8",
    "width": "8",
    "depth": "1",
    "kernel": "3",
    "lr": "0.01",
    "baseline": "gate.product: none",
    "data": SPECTRAL,
    "method": "grid",
}


def _write(**changes: str) -> str:
    Path("large.yaml").write_text(SPACE.format(**{**SMALL, **changes}), encoding="utf-8")
    return "large.yaml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which becomes the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [["check"], ["run", "--engine", "serial"]])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "stem": WIDE,
                "width": WIDE,
                "depth": WIDE,
                "baseline": "gate.product: none, stem_width: 8, widths.0: 8, depths.0: 1",
            },
            "grid trains every candidate, expected at most 1,000,000, got about 10^36; narrow",
        ),
        (
            {
                "lr": FINE,
                "baseline": "gate.product: none, train.lr: 0.5, train.weight_decay: 0.5, "
                "train.label_smoothing: 0.5",
            },
            "got 2,000,000,000; narrow",
        ),
        (
            {
                "stem": WIDE,
                "method": "ablation",
                "baseline": "gate.product: none, stem_width: 8",
            },
            "ablation trains every candidate, expected at most 1,000,000, got about 10^12",
        ),
        (
            {"data": SPECTRAL.replace("resolution: 32", "resolution: 1000000000")},
            "images of 1,000,000,000 pixels a side take 2.88e+11 GB in the decode cache",
        ),
        (
            {"data": SPECTRAL.replace("train_images: 64", "train_images: 1000000000000")},
            "1,000,000,000,032 images of 32 pixels a side take 3.07e+06 GB",
        ),
    ],
)
def test_what_is_too_large_is_refused_in_one_line(
    here: Path,
    gmsearch: Callable[..., Any],
    changes: dict[str, str],
    message: str,
    command: list[str],
) -> None:
    """Before anything of that size is listed, allocated or written."""
    done = gmsearch(*command, _write(**changes))

    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in here.iterdir()] == ["large.yaml"]


@pytest.mark.parametrize(
    "changes",
    [{"width": "1000000000"}, {"depth": "1000000000"}, {"kernel": "1000000001"}],
)
@pytest.mark.usefixtures("here")
def test_networks_larger_than_the_memory_are_remarked_on(
    gmsearch: Callable[..., Any],
    changes: dict[str, str],
) -> None:
    """A wide, deep or large-kernelled network may be meant for another machine."""
    done = gmsearch("check", _write(**changes))

    assert done.returncode == 0
    assert "large.yaml: model: weights and gradients take up to" in done.stderr
    assert "of memory (2 candidates)" in done.stderr
    assert "weights and gradients" not in gmsearch("check", _write()).stderr


def test_magnitudes_are_readable() -> None:
    """Also of counts that neither a float nor `str` can take."""
    assert magnitude(MAX_LISTED) == "1,000,000"
    assert magnitude(10**5000 + 1) == "about 10^5000"
