"""Frequency bands on which accuracy is measured."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from gmsearch.errors import FieldError
from gmsearch.limits import Natural, NonNegative, PositiveNumber, broken, check, instance_from
from gmsearch.wording import compact, spelled

_OPTIONS = ("edge", "rescale", "dc", "boundary", "bn")
_PREFIX = re.compile(r"^(?:[a-z][a-z0-9_]*\.)*")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """Spatial frequencies that accuracy is measured on, and how band images are made."""

    radii: tuple[PositiveNumber, ...] = ()
    """Radii in bins of the image's DFT (of its shorter side if it is not square); low keeps
    d < r, high the rest."""
    ranges: tuple[tuple[NonNegative, PositiveNumber], ...] = ()
    """Bands a <= d < b, in the same bins."""
    edge: Literal["lt", "le"] = "lt"
    """Whether a bin at distance exactly r is high (lt) or low (le)."""
    rescale: Literal["none", "max"] = "none"
    """max divides each band image by its own maximum, as the code of the original paper does."""
    dc: Literal["dataset_mean", "drop", "image_mean"] = "dataset_mean"
    """Mean pixel added to high-pass and band images, whose own mean the filter removes."""
    boundary: Literal["periodic", "mirror"] = "periodic"
    """Boundary condition of the filter."""
    bn: Literal["keep", "reestimate"] = "keep"
    """reestimate estimates batch-norm statistics anew for every version but raw, on training
    images of that version."""
    every: Natural = 1
    """Epochs between two points of the band curves; 0 for none."""
    curves: Literal["holdout", "evaluation"] = "holdout"
    """Split on which the per-epoch curves are measured."""

    def __post_init__(self) -> None:
        """Check the limits, and that no radius or range is empty or listed twice."""
        wrong = broken(self)
        ranges = () if "ranges" in wrong else self.ranges
        empty = [(i, pair) for i, pair in enumerate(ranges) if pair[0] >= pair[1]]
        check(
            self,
            *(
                (False, f"ranges.{i}", f"{spelled(pair)} is empty; give the lower end first")
                for i, pair in empty
            ),
            *(
                (False, f"{name}.{i}", f"{value} is listed twice; remove one")
                for name in ("radii", "ranges")
                if name not in wrong
                for i, value in _repeated(getattr(self, name))
            ),
        )

    def require_frequencies(self, height: int, width: int | None = None) -> None:
        """Raise FieldError where a version of images of that size contains no frequency.

        Images are square if no width is given.
        """
        width = height if width is None else width
        wrong = _without_a_frequency(self, height, width)
        if wrong is not None:
            farthest = max(_distances(height, width, 1))
            path, name = wrong
            remedy = {"radii": "radii above 0 and below", "ranges": "wider ranges from 0 to"}
            size = f"{height}" if height == width else f"{width}x{height}"
            raise FieldError(
                path,
                f"{name} leaves a version without a frequency; expected {remedy[path]} "
                f"{farthest:.4g}, the farthest bin of images of {size} pixels",
            )

    def keeps(self, distance: float, radius: float) -> bool:
        """Return whether the low-pass filter of `radius` keeps a bin at `distance`."""
        return distance < radius if self.edge == "lt" else distance <= radius

    @property
    def protocol(self) -> dict[str, str]:
        """Options, besides radii and ranges, that band metrics depend on."""
        return {name: getattr(self, name) for name in _OPTIONS}

    def narrowed(self, wanted: Collection[str]) -> Bands:
        """Return these bands with only the radii and ranges whose metrics are wanted."""

        def asked(one: Bands) -> bool:
            return not set(one.metrics).isdisjoint(wanted)

        return dataclasses.replace(
            self,
            radii=tuple(r for r in self.radii if asked(Bands(radii=(r,)))),
            ranges=tuple(pair for pair in self.ranges if asked(Bands(ranges=(pair,)))),
        )

    def name_of(self, metric: str, protocol: Mapping[str, str]) -> str:
        """Return the name of a metric measured under `protocol` in a study of these bands.

        If an option that the metric depends on differs, the name states it, such as
        `high@10[dc=drop]`; prefixes such as `holdout.`, `majority.` or a plugin's metric stay.
        """
        bare = _PREFIX.sub("", metric)
        options: tuple[str, ...] = ()
        if bare == "nodc":
            options = ("bn",)
        elif bare.startswith(("low@", "band@0:")):  # they keep their mean
            options = tuple(name for name in _OPTIONS if name != "dc")
        elif bare.startswith(("high@", "band@")):
            options = _OPTIONS
        other = [f"{o}={protocol[o]}" for o in options if protocol[o] != getattr(self, o)]
        return f"{metric}[{','.join(other)}]" if other else metric

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the band metrics, in the order in which they are shown."""
        sides = [f"{side}@{radius:g}" for radius in self.radii for side in ("low", "high")]
        return (*sides, *(f"band@{low:g}:{high:g}" for low, high in self.ranges))


def _repeated(items: Sequence[object]) -> list[tuple[int, str]]:
    """Return the index and name of every item listed before; metrics print equal names."""
    names = [compact(item) for item in items]
    return [(i, name) for i, name in enumerate(names) if name in names[:i]]


def bands_from(tree: Mapping[str, Any]) -> Bands:
    """Build bands from plain data; raises FieldError for values outside their limits."""
    tree = dict(tree)
    tree["ranges"] = tuple((low, high) for low, high in tree.get("ranges", ()))
    bands: Bands = instance_from(Bands, tree)
    return bands


@functools.lru_cache(maxsize=64)
def _without_a_frequency(bands: Bands, height: int, width: int) -> tuple[str, str] | None:
    """Return field and name of a version without a frequency; cached, as every batch asks."""
    distances = _distances(height, width, 2 if bands.boundary == "mirror" else 1)
    for radius in bands.radii:
        if len({bands.keeps(distance, radius) for distance in distances}) < 2:
            return "radii", f"{radius:g}"
    for low, high in bands.ranges:
        inside = any(
            bands.keeps(d, high) and not (low > 0 and bands.keeps(d, low)) for d in distances
        )
        if low < 0 or not inside:
            return "ranges", f"{low:g}:{high:g}"
    return None


def _distances(height: int, width: int, fold: int) -> set[float]:
    """Return the distances of the bins of images, or of their even extension if `fold` is 2.

    Distances are in bins of the shorter side, so that equal ones are equal cycles per pixel.
    """
    side = min(height, width)
    lines = [
        [i * (side / pixels / fold) for i in range(pixels * fold // 2 + 1)]
        for pixels in (height, width)
    ]
    return {math.hypot(row, column) for row in lines[0] for column in lines[1]}
