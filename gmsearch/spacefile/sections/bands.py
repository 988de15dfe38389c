"""The section `bands`: the spatial frequencies that accuracy is measured on."""

from __future__ import annotations

import math

from gmsearch.experiment import Bands, Spectral
from gmsearch.spacefile.values import read_section
from gmsearch.spacefile.yaml import Node

_SIDES = {"spectral": Spectral().resolution, "cifar10": 32, "cifar100": 32}


def read_bands(node: Node, data: Node) -> Bands | None:
    """Return the bands; None where one is wrong, or beyond the images of `data`."""
    before = len(node.mistakes)
    bands: Bands | None = read_section(node, Bands)
    farthest = _farthest_bin(data)
    for item in node.mapping["radii"].items if "radii" in node.mapping else ():
        _check_radius(item, farthest)
    for item in node.mapping["ranges"].items if "ranges" in node.mapping else ():
        for end in item.items[1:]:
            _check_radius(end, farthest)
    return bands if len(node.mistakes) == before else None


def _farthest_bin(data: Node) -> float | None:
    """Return the distance of the corner bin of the centred DFT; None for an unknown side."""
    name, given = data.mapping.get("name"), data.mapping.get("resolution")
    side = given.value if given is not None else _SIDES.get(str(name.value if name else None))
    return side // 2 * math.sqrt(2) if isinstance(side, int) else None


def _check_radius(node: Node, farthest: float | None) -> None:
    radius = node.value
    if farthest is not None and isinstance(radius, (int, float)) and radius >= farthest:
        node.wrong(
            f"expected a radius below {farthest:.4g}, the farthest bin of the image, got "
            f"{radius:g}"
        )
