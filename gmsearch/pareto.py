"""Fronts, hypervolume, knee, and the probability that a point is on the front. Minimises only.

Callers multiply values to maximise by `Objective.sign` first. Points are rows, objectives
columns; every number is finite.
"""

from __future__ import annotations

from collections.abc import Iterable

import moocore
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_MARGIN = 0.1
_TIE = 1e-9


def front(points: npt.ArrayLike) -> Mask:
    """Return a mask of the (N, M) points that no other dominates; equal points are all kept.

    One point dominates another if it is nowhere larger and somewhere smaller.

    Raises:
        ValueError: for numbers that are not finite, which cannot be ranked.
    """
    array = _finite(points)
    if len(array) == 0:
        return np.zeros(0, dtype=bool)
    mask: Mask = moocore.is_nondominated(array, keep_weakly=True)
    return mask


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Return the volume that the (N, M) points dominate below the (M,) reference point."""
    array = _finite(points)
    if len(array) == 0:
        return 0.0
    return float(moocore.hypervolume(array, ref=np.asarray(reference, dtype=float)))


def reference_point(points: npt.ArrayLike) -> Floats:
    """Return the worst value of each objective over the (N, M) points plus a tenth of its range.

    The margin gives the extreme points of the front a volume, too.
    """
    array = _finite(points)
    worst = array.max(axis=0)
    reference: Floats = worst + _MARGIN * (worst - array.min(axis=0))
    return reference


def knee(points: npt.ArrayLike) -> int | None:
    """Return the index of the knee of (N, M) front points: the best compromise.

    Each objective is scaled to 0..1 over the points; the knee has the smallest sum, which with two
    objectives is the greatest distance from the line between the two ends. None with fewer than
    three distinct points, and if several points share the smallest sum, as on a straight front.
    """
    distinct, first = np.unique(_finite(points), axis=0, return_index=True)
    if len(distinct) < 3:
        return None
    width = np.ptp(distinct, axis=0)
    scaled = (distinct - distinct.min(axis=0)) / np.where(width > 0, width, 1.0)
    sums = scaled.sum(axis=1)
    least, second = np.partition(sums, 1)[:2]
    if second - least <= _TIE:
        return None
    return int(first[sums.argmin()])


def resampled_means(values: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """Return (draws, N, M) bootstrap means of (S, N, M) values over their S seeds.

    Seeds are drawn with replacement, the same for every arm, because a seed affects all arms
    alike. NaN marks a missing seed; a draw without any seed of an arm gives the arm's plain mean.
    """
    seeds = len(values)
    counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)  # (draws, S)
    present = ~np.isnan(values)
    filled = np.where(present, values, 0.0)
    totals = np.tensordot(counts, filled, axes=1)
    weights = np.tensordot(counts, present, axes=1)
    plain = filled.sum(axis=0) / present.sum(axis=0)
    means: Floats = np.where(weights > 0, totals / np.maximum(weights, 1), plain)
    return means


def front_probability(samples: Iterable[Floats]) -> Floats:
    """Return the (N,) shares of the samples, (N, M) each, in which each point is on the front."""
    shares: Floats = np.mean([front(points) for points in samples], axis=0)
    return shares


def _finite(points: npt.ArrayLike) -> Floats:
    array = np.asarray(points, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError("a front needs finite numbers")
    return array
