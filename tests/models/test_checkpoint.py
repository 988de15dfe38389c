"""Checkpoints: what loads, and what is refused in one line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gmsearch.errors import CheckpointError
from gmsearch.models import build, load_checkpoint
from gmsearch.networks import GmNetSpec


def network(seed: int) -> nn.Module:
    """Return a tiny network."""
    tiny = GmNetSpec(widths=(4,), depths=(1,), mlp_ratio=2, kernel_size=3, stem_width=4)
    return build(tiny, num_classes=2, seed=seed)


def prefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict as data parallel training names it."""
    return {f"module.{name}": tensor for name, tensor in state.items()}


def zeros(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict that must not be taken."""
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": state, "epoch": 300, "arch": "gmnet_s3"},
        lambda state: {"state_dict": prefixed(state)},
        lambda state: state,
        prefixed,
        lambda state: {"state_dict": state, "args": argparse.Namespace(model="gmnet_s1", lr=0.1)},
        lambda state: {"state_dict": zeros(state), "state_dict_ema": state},
        lambda state: {"model": zeros(state), "model_ema": state},
        lambda state: {"model": state},
        lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state: prefixed({f"_orig_mod.{name}": t for name, t in state.items()}),
        lambda state: {f"_orig_mod.{name}": t for name, t in prefixed(state).items()},
        lambda state: {n.replace("stages.0.", "stages.0._orig_mod."): t for n, t in state.items()},
    ],
    ids=[
        *("release", "release of data parallel", "bare", "bare of data parallel"),
        *("arguments of timm", "average of timm", "average beside a model", "model"),
        *("compiled", "compiled, then data parallel", "data parallel, then compiled"),
        "a compiled part",
    ],
)
def test_checkpoints_load(wrapped: Callable[[dict[str, Tensor]], Any], tmp_path: Path) -> None:
    """Wrapped or bare, with prefixes or without, every tensor comes back; the average first."""
    trained, model = network(0), network(1)
    torch.save(wrapped(trained.state_dict()), tmp_path / "weights.pth")
    load_checkpoint(model, tmp_path / "weights.pth")
    assert all(torch.equal(model.state_dict()[n], t) for n, t in trained.state_dict().items())


def test_safetensors_load(tmp_path: Path) -> None:
    """What a study keeps of a trial loads as well."""
    trained, model = network(0), network(1)
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    load_checkpoint(model, str(tmp_path / "weights.safetensors"))
    assert all(torch.equal(model.state_dict()[n], t) for n, t in trained.state_dict().items())


def test_timm_loads_a_checkpoint_of_the_release(tmp_path: Path) -> None:
    """`timm.create_model(checkpoint_path=…)` takes the same file."""
    trained = timm.create_model("gmnet_s1", num_classes=2)
    torch.save({"state_dict": prefixed(trained.state_dict())}, tmp_path / "weights.pth")
    loaded = timm.create_model(
        "gmnet_s1", num_classes=2, checkpoint_path=str(tmp_path / "weights.pth")
    )
    assert all(torch.equal(loaded.state_dict()[n], t) for n, t in trained.state_dict().items())


class Code:
    """Pickles to a call."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a folder where it is loaded."""
        return os.mkdir, (str(self.marker),)


CONTENTS: dict[str, Callable[[dict[str, Tensor], Path], Any]] = {
    "missing tensors": lambda state, _: {n: t for n, t in state.items() if "dwconv" not in n},
    "extra tensors": lambda state, _: {
        **state,
        "fc.weight": torch.zeros(2),
        "fc.bias": torch.zeros(2),
    },
    "another shape": lambda state, _: {**state, "head.weight": torch.zeros(1000, 4)},
    "code": lambda state, folder: {"state_dict": state, "optimizer": Code(folder / "ran")},
    "no state dict": lambda _, __: {"epoch": 3},
    "a list": lambda _, __: [torch.zeros(2)],
    "half written": lambda state, _: state,
}
BYTES = {"corrupt": bytes(range(256)) * 20, "empty": b"", "text": b"no weights\n"}


def mistaken(kind: str, folder: Path) -> Path:
    """Write a file with one thing wrong and return its path."""
    path = folder / ("w.safetensors" if "safetensors" in kind else "weights.pth")
    state = network(0).state_dict()
    if kind in CONTENTS:
        torch.save(CONTENTS[kind](state, folder), path)
    elif kind in BYTES:
        path.write_bytes(BYTES[kind])
    elif kind == "half written safetensors":
        save_file(state, path)
    elif kind == "a folder":
        path.mkdir()
    if kind.startswith("half written"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing tensors", "9 missing (stages.0.1.dwconv.conv.weight, "),
        ("extra tensors", "2 unknown (fc.weight, fc.bias)"),
        (
            "another shape",
            "1 of another shape (head.weight (1000, 4), expected (2, 4))",
        ),
        ("half written", "half written"),
        ("half written safetensors", "half written"),
        ("corrupt", "damaged"),
        ("empty", "not a checkpoint"),
        ("text", "not a checkpoint"),
        ("code", "may run code"),
        ("no state dict", "expected a state dict"),
        ("a list", "expected a state dict"),
        ("a folder", "no such file"),
        ("no file", "no such file"),
    ],
)
def test_what_is_refused(kind: str, said: str, tmp_path: Path) -> None:
    """One line names the file and what is wrong; the network is unchanged, no code runs."""
    model = network(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = mistaken(kind, tmp_path)

    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, path)

    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert not (tmp_path / "ran").exists()


def test_wherever_an_old_file_ends_it_is_refused(tmp_path: Path) -> None:
    """Files of the format before zip archives have no index at their end that would be missed."""
    path = tmp_path / "weights.pth"
    torch.save(network(0).state_dict(), path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    for end in range(0, len(data), 97):
        path.write_bytes(data[:end])
        with pytest.raises(CheckpointError, match="not a checkpoint"):
            load_checkpoint(network(1), path)


def test_a_weight_that_changed_on_disk_is_refused(tmp_path: Path) -> None:
    """One bit of one weight is detected by the archive's checksum, which torch does not check."""
    path, state = tmp_path / "weights.pth", network(0).state_dict()
    torch.save(state, path)
    data = bytearray(path.read_bytes())
    data[data.index(state["head.weight"].numpy().tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="checksum"):
        load_checkpoint(network(1), path)
