"""The parts of a MobileNetV2."""

from __future__ import annotations

from functools import lru_cache

from gmsearch.networks import PLACEMENTS, MobileNetV2Spec
from gmsearch.networks.count import Part, repeated, together
from gmsearch.networks.layers import (
    Place,
    batch_norm,
    classic_places,
    conv,
    elementwise,
    placed,
    pooled_linear,
)
from gmsearch.networks.stages import halved

_NAMES = PLACEMENTS["mobilenetv2"]


def parts(
    candidate: MobileNetV2Spec, num_classes: int, resolution: int, in_chans: int
) -> list[Part]:
    """Return stem, stages and head."""
    gate, gain = candidate.gate, candidate.gain != "none"
    side = halved(resolution) if candidate.stem == "imagenet" else resolution
    width = candidate.stem_width
    found = [_normed(in_chans, width, 3, side)]
    gated, ungated = classic_places(gate, "relu6", _NAMES, gain=gain)
    for stage, depth in enumerate(candidate.depths):
        before, width = width, candidate.widths[stage]
        places = ungated if gate.product_in(stage) == "none" else gated
        shape = before, width, candidate.mlp_ratio[stage], candidate.kernel_size[stage]
        found.append(_stage(depth, shape, candidate.stride(stage), side, places))
        side = halved(side) if candidate.stride(stage) == 2 else side
    found.append(_normed(width, candidate.head_width, 1, side))
    found.append(pooled_linear(candidate.head_width, num_classes, side))
    return found


@lru_cache(maxsize=2**16)
def _normed(in_chans: int, out_chans: int, kernel_size: int, side: int) -> Part:
    return together(
        conv(in_chans, out_chans, kernel_size, side, bias=False),
        batch_norm(out_chans, side),
        elementwise("activation", out_chans, side),
    )


@lru_cache(maxsize=2**16)
def _stage(
    depth: int,
    shape: tuple[int, int, float, int],
    stride: int,
    reads: int,
    places: tuple[Place, ...],
) -> Part:
    """Count the blocks of a stage, the first of which reads a map of `reads` pixels a side."""
    before, width, *_ = shape
    side = halved(reads) if stride == 2 else reads
    first = _block(before, shape[1:], reads, side, places)
    later = _block(width, shape[1:], side, side, places)
    shortcut = elementwise("add", width, side)
    if stride == 1 and before == width:
        first = together(first, shortcut)
    return together(first, repeated(together(later, shortcut), depth - 1))


@lru_cache(maxsize=2**16)
def _block(
    before: int,
    shape: tuple[int, float, int],
    reads: int,
    side: int,
    places: tuple[Place, ...],
) -> Part:
    """Count an inverted residual without its shortcut; a ratio of 1 leaves the expansion out."""
    width, ratio, kernel_size = shape
    expand, depthwise = places
    hidden = int(ratio * before)
    expansion = [
        conv(before, hidden, 1, reads, bias=False),
        batch_norm(hidden, reads),
        placed(expand, hidden, before, reads),
    ]
    return together(
        *(() if ratio == 1 else expansion),
        conv(hidden, hidden, kernel_size, side, hidden, bias=False),
        batch_norm(hidden, side),
        placed(depthwise, hidden, hidden, side),
        conv(hidden, width, 1, side, bias=False),
        batch_norm(width, side),
    )
