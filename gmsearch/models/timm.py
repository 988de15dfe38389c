"""Any model of timm."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from torch import nn

from gmsearch.errors import FieldError
from gmsearch.networks import PRESETS, TimmSpec, preset_family


def timm_model(
    candidate: TimmSpec, num_classes: int, in_chans: int, seed: int, resolution: int | None
) -> nn.Module:
    """Return a model of timm, its weights drawn from torch's global generator.

    A model that is made for one size of images, and refuses those of `resolution`, is made for
    that size where timm can.

    Raises:
        FieldError: for a name timm does not know, or a `drop_path_rate` its model does not take.
    """
    name = candidate.name
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise FieldError("name", f"{name!r} is not a model of timm {timm.__version__}; {hint}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise FieldError("name", f"{name!r}: {error} Remove the part after the dot.") from None
    arguments: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans}
    if name in PRESETS and preset_family(name) == "resnet18":
        arguments["product_variance"] = 1.0  # as in every study, so that its numbers stay
    # timm drops what is None.
    model = _created(name, arguments | {"drop_path_rate": candidate.drop_path_rate or None})
    if resolution is None or not _of_another_size(model, resolution, in_chans):
        return model
    torch.default_generator.manual_seed(seed)
    arguments |= {"drop_path_rate": candidate.drop_path_rate or None, "img_size": resolution}
    try:
        return _created(name, arguments)
    except Exception:  # noqa: BLE001 - as many reasons as models; the size is refused as it is used
        return model


def _of_another_size(model: nn.Module, resolution: int, in_chans: int) -> bool:
    """Return whether a model is made for images of one size only, and not for this one."""
    made_for = getattr(model, "default_cfg", {})
    size = made_for.get("input_size", (in_chans, resolution, resolution))[-1]
    if not made_for.get("fixed_input_size") or size == resolution:
        return False
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, in_chans, resolution, resolution))
    except (AssertionError, RuntimeError, ValueError, IndexError):
        return True
    finally:
        model.train()
    return False


def _created(name: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, **arguments)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        raise FieldError("drop_path_rate", f"{name} of timm has none; remove it") from None
    return model
