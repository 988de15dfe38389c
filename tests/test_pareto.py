"""Fronts against the definition and optuna's, hypervolume, knee, and the bootstrap over seeds."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import numpy.typing as npt
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gmsearch import pareto

# Few distinct values, so that ties and duplicates abound.
POINTS = hnp.arrays(
    float,
    st.tuples(st.integers(1, 12), st.integers(1, 4)),
    elements=st.integers(0, 3).map(float),
)


def _by_definition(points: npt.NDArray[np.float64]) -> list[bool]:
    return [
        not any((other <= point).all() and (other < point).any() for other in points)
        for point in points
    ]


@given(POINTS)
def test_front_is_the_quadratic_definition(points: npt.NDArray[np.float64]) -> None:
    """A point is kept exactly if none is nowhere larger and somewhere smaller; ties all stay."""
    assert pareto.front(points).tolist() == _by_definition(points)


@settings(max_examples=20, deadline=None)
@given(POINTS)
def test_front_is_that_of_optuna(points: npt.NDArray[np.float64]) -> None:
    """Optuna's best trials of a study that minimises are the points kept."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * points.shape[1])
    study.add_trials([optuna.trial.create_trial(values=point.tolist()) for point in points])
    if points.shape[1] == 1:
        expected = {t.number for t in study.trials if t.values == [points.min()]}
    else:
        expected = {t.number for t in study.best_trials}

    assert set(np.flatnonzero(pareto.front(points)).tolist()) == expected


@given(POINTS, st.randoms(use_true_random=False))
def test_front_does_not_depend_on_order_or_scale(
    points: npt.NDArray[np.float64], shuffler: random.Random
) -> None:
    """Permuting the points permutes the front; positive factors change nothing."""
    order = list(range(len(points)))
    shuffler.shuffle(order)
    factors = np.array([0.5, 3.0, 1e6, 1e-3])[: points.shape[1]]

    assert pareto.front(points[order]).tolist() == pareto.front(points)[order].tolist()
    assert pareto.front(points * factors).tolist() == pareto.front(points).tolist()


def test_no_points_no_front() -> None:
    """Nothing to rank gives an empty mask and no volume, and what is no number is refused."""
    assert pareto.front(np.zeros((0, 3))).tolist() == []
    assert pareto.hypervolume(np.zeros((0, 2)), [1, 1]) == 0
    with pytest.raises(ValueError, match="finite"):
        pareto.front([[1.0, float("nan")]])


@settings(max_examples=30, deadline=None)
@given(POINTS)
def test_hypervolume_counts_unit_cells(points: npt.NDArray[np.float64]) -> None:
    """With integer points the volume is the number of unit cells that some point dominates."""
    cells = itertools.product(range(4), repeat=points.shape[1])
    dominated = sum(any((point <= cell).all() for point in points) for cell in cells)

    assert pareto.hypervolume(points, [4.0] * points.shape[1]) == pytest.approx(dominated)


def test_reference_point_is_a_tenth_beyond_the_worst() -> None:
    """It lies a tenth of the range beyond the worst, and on it where nothing varies."""
    points = [[0.0, 5.0], [10.0, 5.0]]

    assert pareto.reference_point(points).tolist() == [11.0, 5.0]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[0, 10], [2, 2], [10, 0]], 1),
        ([[10, 0, 1], [0, 10, 1], [3, 2, 1]], 2),
        ([[0, 10], [1, 2], [1, 2], [10, 0]], 1),  # a knee that two arms share
        ([[0, 2], [1, 1], [2, 0]], None),  # straight
        ([[0, 10], [9, 9], [10, 0]], None),  # hollow: the ends share the smallest sum
        ([[0, 1], [1, 0]], None),
        ([[1, 1]], None),
    ],
)
def test_knee_is_farthest_from_the_line_of_the_ends(
    points: list[list[float]], expected: int | None
) -> None:
    """The knee bulges most towards the ideal; a front without a bulge has none."""
    assert pareto.knee(points) == expected


def test_resampled_means_are_the_plain_bootstrap() -> None:
    """Mean and sd of the resampled means are the mean and the sd / sqrt(n) of the values."""
    values = np.random.default_rng(0).normal(size=(12, 3, 2))

    means = pareto.resampled_means(values, 20_000, np.random.default_rng(1))

    assert means.shape == (20_000, 3, 2)
    assert means.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.02)
    assert means.std(axis=0) == pytest.approx(values.std(axis=0) / np.sqrt(12), rel=0.03)


def test_resampling_keeps_seeds_together() -> None:
    """What a seed adds to every arm alike never changes the difference of two arms."""
    values = np.random.default_rng(0).normal(size=(8, 1, 1)) + np.array([[[0.0], [1.0]]])

    means = pareto.resampled_means(values, 100, np.random.default_rng(1))

    assert (means[:, 1] - means[:, 0]) == pytest.approx(np.ones((100, 1)))


def test_an_arm_that_lacks_seeds_is_resampled_over_its_own() -> None:
    """Missing seeds weigh nothing, and an arm of one seed always keeps its value."""
    nan = float("nan")
    values = np.array([[[1.0], [7.0]], [[3.0], [nan]], [[5.0], [nan]]])

    means = pareto.resampled_means(values, 500, np.random.default_rng(0))

    assert set(means[:, 1, 0]) == {7.0}
    assert set(np.round(means[:, 0, 0] * 3).astype(int)) <= set(range(3, 16))


def test_front_probability_is_the_share_of_samples() -> None:
    """A point that wins in one of four samples has probability 1/4; the same seed, the same."""
    samples = np.array([[[0.0], [1.0]]] * 3 + [[[1.0], [0.0]]])

    assert pareto.front_probability(samples).tolist() == [0.75, 0.25]


def test_large_fronts_are_fast() -> None:
    """A hundred thousand correlated points with four objectives take less than a second."""
    rng = np.random.default_rng(0)
    points = rng.random((100_000, 1)) + rng.random((100_000, 4))

    start = time.process_time()
    mask = pareto.front(points)

    assert time.process_time() - start < 1
    assert 0 < mask.sum() < len(points)
