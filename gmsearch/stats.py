"""Statistics over the seeds of arms: spread, paired differences, exact tests, Holm, decidability.

Seeds are the repeats, and a seed gives every arm the same data order and initial weights, so two
arms are compared seed by seed. Independent of studies, files and metrics.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtr, stdtrit

ALPHA = 0.05
"""Two-sided level of every test; intervals cover 1 - ALPHA."""

EXACT_PAIRS = 40
"""Largest number of pairs for which all 2^n sign patterns are counted; beyond it the t test is
used, which then hardly differs from the exact one."""

# Sums of the same numbers in another order differ by rounding; patterns this close are ties.
_TIE = 1e-9


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Mean and spread of one quantity over n repeats."""

    mean: float
    sd: float | None
    """Sample standard deviation (n - 1 in the denominator); None for one repeat."""
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Paired:
    """Comparison of an arm with the baseline over their common seeds; arm minus baseline."""

    difference: float
    """Mean of the differences."""
    low: float | None
    """Lower end of the 95 % t interval of the mean difference; None for one pair."""
    high: float | None
    p: float
    """Two-sided p value of the sign-flip permutation test on the mean difference."""
    effect: float | None
    """Mean difference / sd of the differences (paired d); None if that sd is 0 or unknown."""
    n: int


def summarise(values: Sequence[float]) -> Summary:
    """Return mean, sample sd and n of at least one value."""
    array = np.asarray(values, dtype=float)
    sd = float(array.std(ddof=1)) if len(array) > 1 else None
    return Summary(mean=float(array.mean()), sd=sd, n=len(array))


def paired(arm: Mapping[int, float], baseline: Mapping[int, float]) -> Paired | None:
    """Compare two arms, given as seed -> value, over their common seeds; None without any."""
    seeds = sorted(arm.keys() & baseline.keys())
    if not seeds:
        return None
    differences = np.array([arm[seed] - baseline[seed] for seed in seeds])
    spread = summarise(differences.tolist())
    low = high = effect = None
    if spread.sd is not None:
        half = float(stdtrit(spread.n - 1, 1 - ALPHA / 2)) * spread.sd / math.sqrt(spread.n)
        low, high = spread.mean - half, spread.mean + half
        # The sd of equal differences is a rounding error, which gives no effect size.
        if spread.sd > _TIE * max(abs(differences).max(), 1e-300):
            effect = spread.mean / spread.sd
    return Paired(
        difference=spread.mean,
        low=low,
        high=high,
        p=sign_flip_p(differences.tolist()),
        effect=effect,
        n=spread.n,
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p value of the sign-flip permutation test on the mean difference.

    Under the null hypothesis both signs of a difference are equally likely. The p value is the
    share of the 2^n sign patterns, the observed one included, whose mean is at least as far from 0
    as the observed one.
    """
    array = np.asarray(differences, dtype=float)
    n = len(array)
    if n > EXACT_PAIRS:
        error = float(array.std(ddof=1)) / math.sqrt(n)
        if error == 0:
            return smallest_p(n) if array.any() else 1.0
        return 2 * float(stdtr(n - 1, -abs(array.mean()) / error))
    far = abs(array.sum()) - _TIE * abs(array).sum()
    # A pattern is one of the first half and one of the second: 2^(n/2) sums each, sorted.
    left, right = _signed_sums(array[: n // 2]), np.sort(_signed_sums(array[n // 2 :]))
    above = len(right) - np.searchsorted(right, far - left, side="left")
    below = np.searchsorted(right, -far - left, side="right")
    # With far <= 0 every pattern is at least as far, and those between would count twice.
    count = min(int(above.sum() + below.sum()), 2**n)
    return float(count / 2**n)


def _signed_sums(values: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values adjusted by Holm's step-down method, in the given order."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def smallest_p(n: int) -> float:
    """Return the smallest p value of the sign-flip test over n pairs: 2 of 2^n patterns."""
    return min(1.0, 2.0 ** (1 - n))


def decidable(pairs: Sequence[int]) -> list[bool]:
    """Return which comparisons, given their numbers of pairs, could reach 0.05 after Holm.

    Each is judged at its smallest possible p value; Holm's adjusted values never fall when a p
    value rises.
    """
    return [p <= ALPHA for p in holm([smallest_p(n) for n in pairs])]


def pairs_needed(comparisons: int) -> int:
    """Return the number of seeds with which this many comparisons can reach 0.05 after Holm."""
    n = 1
    while comparisons * smallest_p(n) > ALPHA:
        n += 1
    return n


def difference_interval(
    value: float, interval: tuple[float, float], other: float, others: tuple[float, float]
) -> tuple[float, float]:
    """Return the 95 % interval of value - other from the two independent 95 % intervals.

    Squares of the half widths are added on each side (MOVER: Zou and Donner 2008), which preserves
    asymmetric intervals.
    """
    difference = value - other
    low = difference - math.hypot(value - interval[0], others[1] - other)
    high = difference + math.hypot(interval[1] - value, other - others[0])
    return low, high
