"""Scores of logits against their definitions, image by image."""

from __future__ import annotations

import gc
import itertools
import math
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsearch import evaluate
from gmsearch.evaluate import Tally, score


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_scores_are_their_definitions(n: int, n_classes: int, seed: int) -> None:
    """Every number equals a plain loop over images in double precision."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((n, n_classes)).astype(np.float32) * 3
    labels = rng.integers(0, n_classes, n)
    scores = score(torch.from_numpy(logits), torch.from_numpy(labels))
    top1 = top5 = loss = 0.0
    predicted = []
    for row, label in zip(logits.astype(float), labels.tolist(), strict=True):
        order = sorted(range(n_classes), key=lambda c: -row[c])
        predicted.append(order[0])
        top1 += order[0] == label
        top5 += label in order[:5]
        loss += math.log(sum(math.exp(v - row[label]) for v in row))

    assert scores.top1 == top1 / n
    assert scores.top5 == top5 / n
    assert scores.loss == pytest.approx(loss / n, rel=1e-5, abs=1e-6)
    assert scores.majority == max(predicted.count(c) for c in set(predicted)) / n
    assert scores.predictions.tolist() == predicted


def test_equal_logits_count_for_the_lower_class() -> None:
    """A network that says nothing predicts class 0 everywhere, and its majority shows it."""
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7])
    scores = score(torch.zeros(8, 8), labels)

    assert scores.top1 == 1 / 8
    assert scores.top5 == 5 / 8
    assert scores.majority == 1.0
    assert scores.loss == pytest.approx(math.log(8))


@pytest.mark.parametrize(("n_classes", "dtype"), [(256, np.uint8), (257, np.int64)])
def test_predictions_take_a_byte_where_it_suffices(n_classes: int, dtype: type) -> None:
    """The largest class survives: uint8 holds 256 classes, more need int64."""
    logits = torch.zeros(3, n_classes)
    logits[:, -1] = 1
    scores = score(logits, torch.zeros(3, dtype=torch.int64))

    assert scores.predictions.dtype == dtype
    assert scores.predictions.tolist() == [n_classes - 1] * 3


def test_a_loss_that_is_not_finite_stays_so() -> None:
    """Nothing hides that a network gave no number."""
    logits = torch.tensor([[0.0, 1.0], [float("nan"), 0.0]])

    assert not math.isfinite(score(logits, torch.tensor([0, 1])).loss)


@pytest.mark.parametrize(
    ("logits", "labels"), [((0, 3), (0,)), ((4, 3), (3,)), ((4,), (4,)), ((4, 3), (4, 1))]
)
def test_shapes_that_do_not_match_are_refused(
    logits: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    """No images, or labels of another number, are an error that names both shapes."""
    with pytest.raises(ValueError, match=r"logits .* labels"):
        score(torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))


@pytest.mark.parametrize("pending", [0, 50, 2**22])
def test_batches_do_not_change_a_score(pending: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are equal to the bit however images are split, and whenever logits are reduced."""
    monkeypatch.setattr(evaluate, "_PENDING", pending)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(97, 7, generator=generator) * 5
    labels = torch.randint(7, (97,), generator=generator)
    spread = {"spread": lambda x, y: float(x.std() + y.double().std())}
    tally = Tally(spread)
    for start, stop in itertools.pairwise([0, 1, 30, 31, 97]):
        tally.add(logits[start:stop], labels[start:stop])
    batched, whole = tally.scores(), score(logits, labels, spread)

    assert (batched.predictions == whole.predictions).all()
    for name in ("top1", "top5", "loss", "majority", "extra"):
        assert getattr(batched, name) == getattr(whole, name)


@pytest.mark.parametrize("extra", [None, {"zero": lambda _x, _y: 0.0}])
def test_logits_are_kept_only_for_metrics_that_need_them(
    extra: dict[str, evaluate.MetricFunction] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without further metrics, the memory held does not grow with the number of classes."""
    monkeypatch.setattr(evaluate, "_PENDING", 10)
    tally = Tally(extra)
    logits = torch.zeros(4, 5)
    held = weakref.ref(logits)
    tally.add(logits, torch.zeros(4, dtype=torch.int64))
    del logits
    gc.collect()

    assert (held() is None) or extra is not None
    assert len(tally._kept) == (0 if extra is None else 1)
