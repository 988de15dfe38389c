"""The parts of a ResNet-18."""

from __future__ import annotations

from functools import lru_cache

from gmsearch.networks import PLACEMENTS, ResNet18Spec
from gmsearch.networks.count import Part, repeated, together
from gmsearch.networks.layers import (
    Place,
    batch_norm,
    classic_places,
    conv,
    elementwise,
    placed,
    pool,
    pooled_linear,
)
from gmsearch.networks.stages import halved

_NAMES = PLACEMENTS["resnet18"]


def parts(candidate: ResNet18Spec, num_classes: int, resolution: int, in_chans: int) -> list[Part]:
    """Return stem, stages and head."""
    gate, gain, cifar = candidate.gate, candidate.gain != "none", candidate.stem == "cifar"
    side = resolution if cifar else halved(resolution)
    width = candidate.stem_width
    found = [_stem(in_chans, width, side, cifar)]
    side = side if cifar else halved(side)
    gated, ungated = classic_places(gate, "relu", _NAMES, gain=gain)
    for stage, depth in enumerate(candidate.depths):
        before, width, stride = width, candidate.widths[stage], candidate.stride(stage)
        side = halved(side) if stride == 2 else side
        places = ungated if gate.product_in(stage) == "none" else gated
        found.append(_stage(depth, (before, width, stride, side), places))
    found.append(pooled_linear(width, num_classes, side))
    return found


@lru_cache(maxsize=2**16)
def _stem(in_chans: int, width: int, side: int, cifar: bool) -> Part:  # noqa: FBT001 - of a memo
    return together(
        conv(in_chans, width, 3 if cifar else 7, side, bias=False),
        batch_norm(width, side),
        elementwise("activation", width, side),
        Part() if cifar else pool(width, 3, halved(side)),
    )


@lru_cache(maxsize=2**16)
def _stage(depth: int, shape: tuple[int, int, int, int], places: tuple[Place, ...]) -> Part:
    before, width, stride, side = shape
    shortcut = stride == 1 and before == width
    first = _block(before, width, side, places)
    if not shortcut:
        downsample = conv(before, width, 1, side, bias=False)
        first = together(first, downsample, batch_norm(width, side))
    return together(first, repeated(_block(width, width, side, places), depth - 1))


@lru_cache(maxsize=2**16)
def _block(before: int, width: int, side: int, places: tuple[Place, ...]) -> Part:
    """Count a basic block from `before` channels, its shortcut an identity."""
    inner, outer = places
    return together(
        conv(before, width, 3, side, bias=False),
        batch_norm(width, side),
        placed(inner, width, before, side),
        conv(width, width, 3, side, bias=False),
        batch_norm(width, side),
        elementwise("add", width, side),
        placed(outer, width, width, side),
    )
