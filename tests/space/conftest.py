"""The example of the documentation, and functions that load edited files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gmsearch.errors import SpaceError
from gmsearch.space import Space
from gmsearch.spacefile import load_space

EXAMPLE = """\
study: gate_ablation
about: Does the product or the activation carry the high frequencies?

model:
  family: gmnet                     # gmnet | timm
  stem_width: 16
  widths: [16, 32, 64]              # one per stage
  depths: [1, 2, 1]
  mlp_ratio: 2
  kernel_size: 5
  gate:
    product: {choice: [none, self]}           # which second factor
    activation: {choice: [identity, relu, relu6, gelu]}
    placement: expand                         # where in the block
    stages: all                               # or a list of stage indices

baseline: {gate.product: none, gate.activation: relu6}
forbid:
  - {gate.product: none, gate.activation: identity}

data: {name: spectral, resolution: 32}
train: {epochs: 8, batch_size: 128, optimizer: adamw, lr: 3e-3, weight_decay: 0.05}
bands: {radii: [4, 8, 10]}
objectives: {top1: maximize, high@10: maximize, flops: minimize, latency_ms: minimize}
constraints: {flops: {max: 6e6}, latency_ms: {max: 1.2 x baseline}}
search: {method: grid, seeds: [0, 1, 2]}
resources: {cpus: 1, gpus: 0}
"""

BARE = """\
study: bare
model:
  widths: [16, 32, 64]
  depths: [1, 2, 1]
  kernel_size: 5
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu, relu6, gelu]}
    placement: expand
    stages: all
train: {epochs: 8, lr: 3e-3}
data: {name: spectral, resolution: 32}
objectives: {top1: maximize}
search: {method: grid, seeds: 3}
"""
MARK = "»"

Edit = tuple[str, str]


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment of the user who runs the tests out of the files they load."""
    monkeypatch.delenv("GMSEARCH_DATA", raising=False)


@pytest.fixture
def example() -> str:
    """Return the example of the documentation."""
    return EXAMPLE


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Space]:
    """Return a function that loads a small file with some of its text replaced."""
    monkeypatch.chdir(tmp_path)

    def loaded(*edits: Edit, text: str = BARE, data_root: Path | None = None) -> Space:
        path = tmp_path / "space.yaml"
        path.write_text(edited(text, edits), encoding="utf-8")
        return load_space(path, data_root=data_root)

    return loaded


@pytest.fixture
def mistakes_in(load: Callable[..., Space]) -> Callable[..., list[str]]:
    """Return a function that gives the mistakes of an edited file, as `line:column: text`."""

    def lines(*edits: Edit, text: str = BARE) -> list[str]:
        with pytest.raises(SpaceError) as caught:
            load(("", ""), text=edited(text, edits).replace(MARK, ""))
        return [f"{m.line}:{m.column}: {m.message}" for m in caught.value.mistakes]

    return lines


@pytest.fixture
def marked() -> Callable[..., list[str]]:
    """Return a function that gives the places marked in an edited file, as `line:column`."""

    def places(*edits: Edit, text: str = BARE) -> list[str]:
        lines = edited(text, edits).split("\n")
        return [
            f"{number}:{column - earlier + 1}"
            for number, line in enumerate(lines, start=1)
            for earlier, column in enumerate(i for i, c in enumerate(line) if c == MARK)
        ]

    return places


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    """Replace each old text, which must occur exactly once; an empty one appends."""
    for old, new in edits:
        if not old:
            text += new
            continue
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text
