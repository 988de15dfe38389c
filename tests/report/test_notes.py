"""The sentences beside the tables: said where they hold, and only there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gmsearch.report.band_notes import share_below
from gmsearch.report.dominance import find_front
from gmsearch.report.sections.front import front_notes
from gmsearch.report.sections.protocol import measured_notes

MakeStudy = Callable[..., Any]


def _notes(study: Any) -> str:
    return " ".join(measured_notes(study.facts))


def test_share_of_bins_is_counted() -> None:
    """Radius 10 keeps 30 % of the bins at 32 px and 0.6 % at 224; odd sides count, too."""
    assert share_below(10, 32) == pytest.approx(0.30, abs=0.005)
    assert share_below(10, 224) == pytest.approx(0.006, abs=0.0005)
    near = sum(math.hypot(i, j) < 3 for i in range(-3, 4) for j in range(-3, 4))
    assert share_below(3, 7) == near / 49
    assert share_below(1, 8) == 1 / 64


def test_size_split_and_chance_are_stated(full_study: Any) -> None:
    """Radii stand beside the image size, accuracies beside the number of images and chance."""
    notes = _notes(full_study)

    assert "of the 32 × 32 image" in notes
    assert "r = 10 keeps 30 %" in notes
    assert "1024 images; chance 10.0 %" in notes
    assert "data set's mean added back" in notes
    assert "No model selection: every arm is reported." in notes


def test_a_search_says_which_split_chose(make_study: MakeStudy) -> None:
    """After a search the holdout chose, and the evaluation split is what is shown."""
    study = make_study(("method: grid", "method: random, candidates: 3"))
    images = {"holdout": 410, "evaluation": 3925, "identity_of": "paths and sizes"}
    study.add({"record": "run", "run": 1, "images": images, "data": "0123456789abcdef"})
    study.add_trial("none relu", 0, {"top1": 0.5})

    notes = _notes(study)

    assert "Selection used the holdout (10 % of the training split, 410 images)" in notes
    assert "3925 images" in notes
    assert "0123456789abcdef (a digest of paths and sizes)" in notes


def test_synthetic_data_are_called_synthetic(make_study: MakeStudy) -> None:
    """Numbers of spectral carry the sentence, numbers of photographs do not."""
    stored = make_study(
        ("{name: spectral, resolution: 32}", "{name: cifar10, root: ., resolution: 32}")
    )

    assert "synthetic" in _notes(make_study())
    assert "synthetic" not in _notes(stored)


def test_timing_names_device_and_threads(make_study: MakeStudy) -> None:
    """Where latencies were measured the device and its threads are named, and disturbances."""
    study = make_study()
    assert "latency" not in _notes(study)

    study.add_timing("none relu", 1.0, disturbed=True)
    study.add_timing("none gelu", 1.0)
    notes = _notes(study)

    assert "alone on Imagined CPU, 1 thread" in notes
    assert "one image, eager" in notes
    assert "1 of 2 timings were disturbed" in notes


@pytest.mark.parametrize(
    ("shares", "activations", "said"),
    [
        ((0.0, 0.0), ("relu", "relu6"), True),
        ((0.0, 0.01), ("relu", "relu6"), False),
        ((0.0, 0.0), ("relu", "gelu"), False),
    ],
)
def test_relu_is_relu6_where_nothing_exceeds_six(
    make_study: MakeStudy,
    shares: tuple[float, float],
    activations: tuple[str, str],
    *,
    said: bool,
) -> None:
    """Only where no arm has a pre-activation above 6, and both of them are compared."""
    study = make_study()
    for share, activation in zip(shares, activations, strict=True):
        study.add_trial(f"none {activation}", 0, {"top1": 0.5, "share_above_6": share})

    assert ("relu and relu6 are the same function" in _notes(study)) == said


def test_regimes_that_were_not_measured_prove_nothing(make_study: MakeStudy) -> None:
    """An arm without the measurement keeps the sentence away."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5, "share_above_6": 0.0})
    study.add_trial("none gelu", 0, {"top1": 0.5})

    assert "same function" not in _notes(study)


def test_unusual_band_options_are_named(make_study: MakeStudy) -> None:
    """Whatever differs from the usual protocol of the bands stands in the note."""
    study = make_study(("{radii: [4, 10]}", "{radii: [4, 10], dc: drop, rescale: max, edge: le}"))

    notes = _notes(study)

    assert "have no mean (edge: le, rescale: max)" in notes


def test_a_seed_measured_again_is_said(make_study: MakeStudy) -> None:
    """Trials that another one replaced are counted in a sentence."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5})
    study.add_trial("none relu", 0, {"top1": 0.7}, key="elsewhere")

    assert "1 trials were repeated" in _notes(study)


def test_a_band_on_the_front_stands_beside_its_controls(make_study: MakeStudy) -> None:
    """The front says, for every band among its objectives, majority share and nodc."""
    study = make_study()
    study.add_timing("none relu", 1.0)
    for seed, share in enumerate((0.2, 0.4)):
        measured = {"top1": 0.5, "high@10": 0.3, "majority.high@10": share, "nodc": 0.25}
        study.add_trial("none relu", seed, {**measured, "flops": 7.0, "latency_ms": 1.0})

    notes = " ".join(front_notes(find_front(study.facts)))

    assert "the largest share of one predicted class is 30.0 to 30.0 %" in notes
    assert "(nodc) is 25.0 to 25.0 %" in notes


def test_operators_nobody_counts_are_named(make_study: MakeStudy) -> None:
    """Each with the arms whose cost leaves it out; an arm asked for twice counts once."""
    study = make_study()
    params = {"gate.product": "none", "gate.activation": "relu"}
    ask = {"record": "ask", "params": params, "attributes": {}}
    study.add({**ask, "number": 0, "arm": "a", "uncounted": ["mean", "softmax"]})
    study.add({**ask, "number": 1, "arm": "a", "uncounted": ["mean", "softmax"]})
    study.add({**ask, "number": 2, "arm": "b", "uncounted": ["mean"]})
    study.add({**ask, "number": 3, "arm": "c"})

    assert "operators: mean (2 arms), softmax (1 arm)." in _notes(study)
    assert "operators" not in _notes(make_study())
