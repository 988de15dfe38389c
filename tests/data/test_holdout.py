"""The holdout: stratified, fixed by identity and labels, a prefix at every share."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsearch.data import holdout, load
from gmsearch.errors import DataError, FieldError
from gmsearch.experiment import Spectral

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)
IDENTITIES = st.integers(0, 2**64 - 1).map("{:016x}".format)


@settings(max_examples=100, deadline=None)
@given(LABELS, IDENTITIES, st.integers(0, 90))
def test_every_class_gives_its_share_rounded_up(
    labels: np.ndarray, identity: str, percent: int
) -> None:
    """The first images of the order are a stratified sample, of any share."""
    labels = np.concatenate([labels, np.repeat(np.unique(labels), 20)])
    share = percent / 100
    places = holdout.positions(labels, identity)
    assert sorted(places) == list(range(len(labels)))

    ordered = np.empty_like(labels)
    ordered[places] = labels
    held = ordered[: holdout.size(labels, share)]
    for label in np.unique(labels):
        count = int((labels == label).sum())
        assert (held == label).sum() == math.ceil(round(share * count, 9))


@settings(max_examples=30, deadline=None)
@given(LABELS, IDENTITIES)
def test_the_order_is_fixed_by_identity_and_labels(labels: np.ndarray, identity: str) -> None:
    """The same data set has the same holdout in every process and study."""
    assert (holdout.positions(labels, identity) == holdout.positions(labels, identity)).all()


def test_another_identity_holds_out_others() -> None:
    """The choice within a class is drawn, not the first rows of a file."""
    labels = np.zeros(1000, dtype=np.int64)
    one, other = (holdout.positions(labels, f"{i:016x}") for i in (1, 2))

    assert ((one < 100) & (np.arange(1000) >= 100)).sum() > 50
    assert ((one < 100) & (other < 100)).sum() < 30


def test_parts_are_disjoint_and_complete(cache: object) -> None:
    """Train and holdout are one training split, and a larger share holds the smaller one's."""
    spec = Spectral(classes=3, train_images=100, evaluation_images=30, holdout=0.1)
    small, large = load(spec), load(dataclasses.replace(spec, holdout=0.4))
    whole = load(dataclasses.replace(spec, holdout=0))
    assert (len(small.holdout), len(large.holdout), len(whole.holdout)) == (12, 42, 0)

    for data in (small, large):
        joined = np.concatenate([data.holdout.images, data.train.images])
        assert (joined == whole.train.images).all()
    assert (large.holdout.images[:12] == small.holdout.images).all()


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_shares_that_are_none_are_refused(cache: object, share: float) -> None:
    """A share is from 0 to below 1."""
    with pytest.raises(FieldError, match="holdout: expected a number from 0 below 1, got "):
        Spectral(classes=3, train_images=100, evaluation_images=30, holdout=share)


def test_the_last_image_of_a_class_is_not_taken(cache: object) -> None:
    """A class that could not be trained any more is an error with the remedy."""
    with pytest.raises(DataError, match=r"leaves no training image .* lower it, or set it to 0"):
        load(Spectral(classes=3, train_images=5, evaluation_images=3))
