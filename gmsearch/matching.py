"""Scale one field of a candidate until its cost equals the baseline's."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.networks import Candidate
from gmsearch.space import Match

_GRAIN = {"widths": 1, "depths": 1, "mlp_ratio": 100}
"""Steps per unit: widths and depths are integers, ratios are given to hundredths."""
_LARGEST_FACTOR = 1024.0
_PRECISION = 1e-6
_MOST_TRIED = 2500
_FARTHEST = 4
_ADJUSTED_STAGES = 7
_SHARE = 0.1

Measure = Callable[[Candidate], float]


def matched(candidate: Candidate, match: Match, target: float, measure: Measure) -> Candidate:
    """Return `candidate` with one field scaled so that its cost is `target`, within tolerance.

    A common factor is found by bisection, since the cost grows with it, and the scaled values are
    rounded to whole steps. If rounding misses the tolerance, single stages are moved by a few
    steps, by at most a tenth of their value but always by one if necessary, in the order of their
    distance to the common factor (sum of squared relative deviations). A candidate that already
    costs `target` is not changed. A MobileNetV2 stage without expansion keeps its ratio of 1.

    Returns:
        The first candidate within the tolerance; if there is none, the one with the nearest cost
        among those tried.
    """
    room, own = match.tolerance * target, measure(candidate)
    if abs(own - target) <= room:
        return candidate
    start = [value * _GRAIN[match.by] for value in getattr(candidate, match.by)]
    fixed = {i for i, value in enumerate(start) if _is_fixed(candidate, match.by, value)}

    def at(factor: float) -> list[float]:
        return [v if i in fixed else v * factor for i, v in enumerate(start)]

    def fits_below(steps: Sequence[int]) -> bool:
        other = _with_steps(candidate, match.by, steps)
        return other is None or measure(other) <= target

    ends = (0.0, 1.0) if own > target else (1.0, _LARGEST_FACTOR)
    factor = _common_factor(ends, at, fits_below)
    nearest, least = candidate, abs(own - target)
    for steps in _around(at(factor), fixed):
        other = _with_steps(candidate, match.by, steps)
        error = math.inf if other is None else abs(measure(other) - target)
        if other is not None and error < least:
            nearest, least = other, error
        if error <= room:
            break
    return nearest


def _is_fixed(candidate: Candidate, by: str, steps: float) -> bool:
    return candidate.family == "mobilenetv2" and by == "mlp_ratio" and steps == _GRAIN[by]


def _with_steps(candidate: Candidate, by: str, steps: Sequence[int]) -> Candidate | None:
    """Return the candidate with these steps; None where they cannot be built."""
    grain = _GRAIN[by]
    values = tuple(step if grain == 1 else step / grain for step in steps)
    spec: Any = candidate  # a dataclass, of the family's own type
    try:
        scaled: Candidate = dataclasses.replace(spec, **{by: values})
    except FieldError:
        return None
    return scaled


def _rounded(values: Sequence[float]) -> tuple[int, ...]:
    return tuple(max(1, round(value)) for value in values)


def _common_factor(
    ends: tuple[float, float],
    at: Callable[[float], list[float]],
    fits_below: Callable[[Sequence[int]], bool],
) -> float:
    """Return the largest factor between `ends` that keeps the cost below; the least if none."""
    low, high = ends
    while _rounded(at(low)) != _rounded(at(high)) and high - low > _PRECISION * high:
        # By ratio from the first positive end on: small factors matter as much as large ones.
        middle = (low * high) ** 0.5 if low else high / 8
        if fits_below(_rounded(at(middle))):
            low = middle
        else:
            high = middle
    return low or high


def _around(wanted: Sequence[float], fixed: set[int]) -> Iterator[tuple[int, ...]]:
    """Yield the rounded values, then those near them, the least deviation first."""
    centre = _rounded(wanted)
    yield centre
    movable = sorted((i for i in range(len(wanted)) if i not in fixed), key=lambda i: -wanted[i])
    movable = movable[:_ADJUSTED_STAGES]
    reach = _FARTHEST
    while reach > 1 and (2 * reach + 1) ** len(movable) > _MOST_TRIED:
        reach -= 1
    moves = []
    for i in range(len(wanted)):
        most = min(reach, max(1, int(_SHARE * centre[i]))) if i in movable else 0
        moves.append(range(-most, most + 1))

    def deviation(steps: Sequence[int]) -> float:
        return sum((step / value - 1) ** 2 for step, value in zip(steps, wanted, strict=True))

    others = (
        tuple(value + move for value, move in zip(centre, row, strict=True))
        for row in itertools.product(*moves)
    )
    yield from sorted((o for o in others if min(o) >= 1 and o != centre), key=deviation)
