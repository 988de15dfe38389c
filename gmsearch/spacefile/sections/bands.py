"""The section `bands`: the spatial frequencies that accuracy is measured on."""

from __future__ import annotations

import math

from gmsearch.experiment import DATA_SPECS, Bands
from gmsearch.spacefile.fields import fields_of
from gmsearch.spacefile.values import read_section
from gmsearch.spacefile.yaml import Node


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
    given = data.mapping.get("resolution")
    side = _usual_side(data) if given is None else given.value
    return side // 2 * math.sqrt(2) if isinstance(side, int) else None


def _usual_side(data: Node) -> int | None:
    """Return the height and width of a data set's images where the file gives no resolution."""
    name = data.mapping.get("name")
    if name is None or not isinstance(name.value, str) or name.value not in DATA_SPECS:
        return None  # reported where the data is read
    spec = DATA_SPECS[name.value]
    resolution = fields_of(spec).get("resolution")
    default: int | None = None if resolution is None else resolution.default
    return spec.side if default is None else default


def _check_radius(node: Node, farthest: float | None) -> None:
    radius = node.value
    if farthest is not None and isinstance(radius, (int, float)) and radius >= farthest:
        node.wrong(
            f"expected a radius below {farthest:.4g}, the farthest bin of the image, got "
            f"{radius:g}"
        )
