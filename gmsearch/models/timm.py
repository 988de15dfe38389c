"""Any model of timm."""

from __future__ import annotations

import difflib
from typing import Any

import timm
from torch import nn

from gmsearch.errors import FieldError
from gmsearch.networks import PRESETS, TimmSpec, preset_family


def timm_model(candidate: TimmSpec, num_classes: int, in_chans: int, _seed: int) -> nn.Module:
    """Return a model of timm, its weights drawn from torch's global generator.

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
    drop_path_rate = candidate.drop_path_rate or None  # timm drops what is None
    try:
        model: nn.Module = timm.create_model(name, drop_path_rate=drop_path_rate, **arguments)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        raise FieldError("drop_path_rate", f"{name} of timm has none; remove it") from None
    return model
