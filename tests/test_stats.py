"""The statistics against scipy and against their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from gmsearch import stats

SAMPLES = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=1, max_size=9)


def _by_definition(differences: list[float]) -> float:
    observed = abs(sum(differences))
    signs = itertools.product((1, -1), repeat=len(differences))
    # Eighths add without rounding, so that ties are exact.
    far = [
        abs(sum(s * d for s, d in zip(pattern, differences, strict=True))) >= observed
        for pattern in signs
    ]
    return sum(far) / len(far)


def _arm(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_sign_flip_is_the_share_of_patterns_at_least_as_far(differences: list[float]) -> None:
    """The p equals counting all 2^n sign patterns one by one, ties and zeros included."""
    assert stats.sign_flip_p(differences) == _by_definition(differences)


@pytest.mark.parametrize("n", [3, 8, 11])
def test_sign_flip_agrees_with_scipy(n: int) -> None:
    """The p equals scipy's exact permutation test of paired samples."""
    rng = np.random.default_rng(n)
    one, other = rng.normal(0.4, 1, n), rng.normal(0, 1, n)

    expected = scipy_stats.permutation_test(
        (one, other),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue

    assert stats.sign_flip_p((one - other).tolist()) == pytest.approx(expected, abs=1e-12)


def test_sign_flip_of_many_pairs_stays_exact_and_meets_the_t_test() -> None:
    """Forty pairs are counted exactly in no time; beyond, the t test stands in without a jump."""
    values = np.random.default_rng(1).normal(0.35, 1, stats.EXACT_PAIRS + 1)

    exact = stats.sign_flip_p(values[:-1].tolist())
    beyond = stats.sign_flip_p(values.tolist())

    assert exact == pytest.approx(scipy_stats.ttest_1samp(values[:-1], 0).pvalue, rel=0.05)
    assert beyond == pytest.approx(scipy_stats.ttest_1samp(values, 0).pvalue, rel=1e-9)
    assert stats.sign_flip_p([0.0] * 50) == 1
    assert stats.sign_flip_p([0.5] * 50) < 1e-9


def test_rounding_does_not_break_ties() -> None:
    """Equal differences of either order of summation count as equally far: p is 2 / 2^n."""
    assert stats.sign_flip_p([0.1] * 7) == 2 / 2**7
    assert stats.sign_flip_p([0.3 - 0.2, 0.2 - 0.1, 0.4 - 0.3]) == 2 / 2**3


@pytest.mark.parametrize("n", [2, 5, 12])
def test_paired_interval_is_that_of_the_paired_t_test(n: int) -> None:
    """Difference, interval and effect equal scipy's paired t test and the definition of d."""
    rng = np.random.default_rng(n)
    one, other = rng.normal(0.7, 0.02, n), rng.normal(0.68, 0.02, n)

    found = stats.paired(_arm(one.tolist()), _arm(other.tolist()))

    assert found is not None
    interval = scipy_stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.difference == pytest.approx((one - other).mean())
    assert found.effect == pytest.approx((one - other).mean() / (one - other).std(ddof=1))


def test_the_interval_covers_about_as_a_bootstrap_does() -> None:
    """The t interval and scipy's bootstrap of the mean difference are of one size."""
    rng = np.random.default_rng(0)
    differences = rng.normal(0.1, 1, 30)

    found = stats.paired(_arm(differences.tolist()), _arm([0.0] * 30))
    boot = scipy_stats.bootstrap((differences,), np.mean, rng=rng, n_resamples=2000)

    assert found is not None
    assert found.low is not None
    assert found.high is not None
    low, high = boot.confidence_interval
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)


def test_only_common_seeds_pair() -> None:
    """Seeds that one arm lacks leave the comparison, and n says how many stayed."""
    arm = {0: 1.0, 1: 2.0, 5: 9.0}
    baseline = {1: 1.0, 0: 0.5, 7: 3.0}

    found = stats.paired(arm, baseline)

    assert found is not None
    assert found.n == 2
    assert found.difference == 0.75
    assert stats.paired({0: 1.0}, {1: 1.0}) is None


def test_one_pair_has_a_difference_and_nothing_else() -> None:
    """A single pair gives no interval and no effect, and its p is 1."""
    assert stats.paired({3: 2.0}, {3: 1.5}) == stats.Paired(0.5, None, None, 1.0, None, 1)


def test_equal_differences_have_no_effect_size() -> None:
    """Where all pairs differ by the same, or not at all, d would divide by zero: it is absent."""
    shift = stats.paired(_arm([0.3, 0.4, 0.6]), _arm([0.2, 0.3, 0.5]))
    same = stats.paired(_arm([0.3, 0.4]), _arm([0.3, 0.4]))

    assert shift is not None
    assert shift.effect is None
    assert same is not None
    assert (same.difference, same.effect, same.p) == (0, None, 1)


def test_summary_of_one_value_has_no_spread() -> None:
    """One repeat has a mean and no sd; several have the sample's."""
    assert stats.summarise([0.5]) == stats.Summary(0.5, None, 1)
    assert stats.summarise([1.0, 3.0]) == stats.Summary(2.0, math.sqrt(2), 2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_as_the_step_down_procedure(ps: list[float], level: float) -> None:
    """At any level the adjusted p's reject what Holm's procedure, written as defined, rejects."""
    rejected = set()
    remaining = set(range(len(ps)))
    while remaining:
        least = min(remaining, key=lambda i: ps[i])
        if ps[least] * len(remaining) > level:
            break
        rejected.add(least)
        remaining.remove(least)

    found = {i for i, p in enumerate(stats.holm(ps)) if p <= level}

    # Equal p's fall together; which of them the procedure meets first says nothing.
    assert {ps[i] for i in found} == {ps[i] for i in rejected}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.data())
def test_holm_never_falls_when_a_p_rises(ps: list[float], data: st.DataObject) -> None:
    """Raising any p lowers no adjusted p: the best case of each is the best case of all."""
    index = data.draw(st.integers(0, len(ps) - 1))
    raised = [*ps]
    raised[index] = data.draw(st.floats(ps[index], 1))

    pairs = zip(stats.holm(ps), stats.holm(raised), strict=True)
    assert all(before <= after + 1e-12 for before, after in pairs)


def test_six_comparisons_need_eight_seeds() -> None:
    """The smallest reachable p, 2/2^n, after Holm over six is above 0.05 up to seven seeds."""
    assert stats.decidable([7] * 6) == [False] * 6
    assert stats.decidable([8] * 6) == [True] * 6
    assert stats.pairs_needed(6) == 8
    assert stats.pairs_needed(1) == 6
    assert stats.pairs_needed(0) == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_undecidable_means_that_no_data_could_decide(pairs: list[int]) -> None:
    """Each comparison reaches 0.05 with the most extreme data of all, or it can never."""
    extreme = stats.holm([_by_definition([1.0] * n) for n in pairs])

    assert stats.decidable(pairs) == [p <= stats.ALPHA for p in extreme]


def test_difference_of_symmetric_intervals_adds_in_quadrature() -> None:
    """Half widths 3 and 4 make 5, and lopsided intervals stay lopsided."""
    assert stats.difference_interval(10, (7, 13), 5, (1, 9)) == (0, 10)
    assert stats.difference_interval(10, (10, 13), 5, (5, 5)) == (5, 8)
