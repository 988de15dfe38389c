"""Which arms are compared over which seeds, and means adjusted where those differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsearch.comparable import comparable

Values = dict[str, dict[int, float]]


def drawn(seeds: dict[str, list[int]]) -> Values:
    """Return values that are an effect of the arm plus one of the seed, exactly."""
    return {
        arm: {seed: 0.5 + 0.01 * number + 0.1 * (seed % 3) for seed in own}
        for number, (arm, own) in enumerate(seeds.items())
    }


def test_equal_seeds_give_plain_means() -> None:
    """Where all arms have the same seeds, nothing is adjusted and nobody is left out."""
    found = comparable({"a": [0, 1, 2], "b": [2, 1, 0]})
    assert (found.basis, found.fair, found.left_out, found.had) == ("equal", True, {}, (3, 3))
    assert found.means({"a": {0: 1, 1: 2, 2: 6}, "b": {0: 0, 1: 0, 2: 3}}) == {"a": 3, "b": 1}


def test_shared_seeds_decide() -> None:
    """An arm that lacks a seed is compared over those that all have."""
    found = comparable({"a": range(8), "b": [0, 1, 2, 4, 5, 6, 7], "c": range(8)})
    assert (found.basis, found.had) == ("shared", (7, 8))
    assert set(found.seeds.values()) == {(0, 1, 2, 4, 5, 6, 7)}


def test_equal_arms_stay_equal_whatever_seeds_they_lack() -> None:
    """Two arms that score the same with every seed have the same adjusted mean."""
    seeds = {"base": [3, 4, 5, 6, 7], "twin": list(range(8)), "gelu": [0, 1, 2]}
    values = {arm: {seed: (seed - 3.5) ** 2 for seed in own} for arm, own in seeds.items()}
    found = comparable(seeds)
    assert (found.basis, found.fair) == ("adjusted", False)
    means = found.means(values)
    assert means["base"] == pytest.approx(means["twin"])
    assert means["gelu"] == pytest.approx(means["twin"])
    plain = {arm: np.mean(list(own.values())) for arm, own in values.items()}
    assert abs(plain["gelu"] - plain["base"]) > 1, "plain means would have told them apart"


@given(
    st.lists(st.sets(st.integers(0, 7), min_size=3, max_size=6), min_size=2, max_size=7),
    st.randoms(use_true_random=False),
)
def test_adjusted_means_are_least_squares(sets: list[set[int]], random: object) -> None:
    """They equal those of a dense least-squares fit of value = arm + seed, seeds averaged."""
    seeds = {f"a{i}": sorted(own) for i, own in enumerate(sets)}
    found = comparable(seeds)
    if found.basis != "adjusted":
        return
    values = {arm: {s: random.random() for s in own} for arm, own in seeds.items()}  # type: ignore[attr-defined] # a Random
    means = found.means(values)
    arms = list(found.seeds)
    columns = sorted({seed for own in found.seeds.values() for seed in own})
    rows, targets = [], []
    for arm, own in found.seeds.items():
        for seed in own:
            row = np.zeros(len(arms) + len(columns))
            row[arms.index(arm)] = row[len(arms) + columns.index(seed)] = 1
            rows.append(row)
            targets.append(values[arm][seed])
    fit = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    expected = fit[: len(arms)] + fit[len(arms) :].mean()
    assert [means[arm] for arm in arms] == pytest.approx(expected.tolist())


def test_arms_without_a_link_are_left_out() -> None:
    """An arm that shares no seed with the others, even through others, is not judged."""
    found = comparable({"a": [0, 1], "b": [1, 2], "c": [7, 8], "d": [2, 3]})
    assert list(found.seeds) == ["a", "b", "d"]
    assert found.left_out == {"c": "no seed in common with the others"}


def test_an_arm_with_few_seeds_does_not_cost_the_others_theirs() -> None:
    """With fewer than half of the usual seeds an arm is left out, and the rest stay whole."""
    found = comparable({"a": range(8), "b": range(8), "c": [0]})
    assert (found.basis, list(found.seeds)) == ("equal", ["a", "b"])
    assert found.left_out == {"c": "only 1 of 8 seeds"}
    assert comparable({}).seeds == {}
    assert comparable({"a": []}).left_out == {"a": "no seed has all objectives"}
