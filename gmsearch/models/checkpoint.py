"""Trained weights from a file, refused with a one-line error unless they fit the network."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gmsearch.errors import CheckpointError

_NAMED = 3  # tensors that a message names
_PLACES = ("state_dict_ema", "model_ema", "state_dict", "model")


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load trained weights into `model`, all of them and no others.

    The file is a safetensors file (by its suffix) or what `torch.save` wrote: a state dict, or a
    dict that holds one, as the official release's trainer and timm's write it. Where it holds
    several, the first of `state_dict_ema`, `model_ema`, `state_dict` and `model` is taken: the
    average of the weights, if there is one, as timm does. Prefixes of the names from data
    parallel training and from `torch.compile` are dropped. No code in the file is run; of what is
    not tensors and plain data, only the arguments that timm's trainer keeps are accepted.

    Args:
        model: The network; unchanged where an error is raised.

        path: Path of the file.

    Raises:
        CheckpointError: for a file that is missing, damaged, half written, not a checkpoint, or
            that holds code, and for tensors that are missing, unknown or of another shape.
    """
    path = Path(path)
    tensors = _state_dict(_content(path), path)
    own = model.state_dict()
    mismatches = [
        _listing("missing", [n for n in own if n not in tensors]),
        _listing("unknown", [n for n in tensors if n not in own]),
        _listing(
            "of another shape",
            [
                f"{n} {tuple(tensors[n].shape)}, expected {tuple(own[n].shape)}"
                for n in own
                if n in tensors and tensors[n].shape != own[n].shape
            ],
        ),
    ]
    if message := "; ".join(filter(None, mismatches)):
        raise CheckpointError(f"{path}: does not fit this {type(model).__name__}: {message}")
    model.load_state_dict(tensors)


def _content(path: Path) -> Any:
    """Return the content of a file, without running code in it."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if zipfile.is_zipfile(path):
            _check_sums(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "unsupported global" in str(error).lower():
            raise CheckpointError(
                f"{path}: holds more than tensors, which may run code when loaded; "
                "save the state dict alone"
            ) from None
        raise CheckpointError(f"{path}: is not a checkpoint, or is damaged") from None
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes a reader raise
        reason = str(error).split("\n", maxsplit=1)[0]
        raise CheckpointError(
            f"{path}: is not a checkpoint, or is damaged or half written: {reason}"
        ) from None


def _check_sums(path: Path) -> None:
    """Raise BadZipFile where bytes have changed; torch does not check the checksums it writes."""
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum does not match")


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by their names in the network."""
    if isinstance(content, Mapping):
        held = (content[place] for place in _PLACES if isinstance(content.get(place), Mapping))
        content = next(held, content)
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(tensor, Tensor) for tensor in content.values())
    ):
        raise CheckpointError(f"{path}: expected a state dict, bare or under `state_dict`")
    # A compiled network, or a compiled part of one, is inside a module of this name.
    tensors = {str(name).replace("_orig_mod.", ""): t for name, t in content.items()}
    prefix = "module." if all(name.startswith("module.") for name in tensors) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _listing(what: str, names: list[str]) -> str:
    """Return the number and first names of tensors with one defect; an empty text for none."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {what} ({', '.join(names[:_NAMED])}{more})" if names else ""
