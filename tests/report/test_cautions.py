"""What comes before any number of a report, in every output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gmsearch.report.cautions import cautions

MakeStudy = Callable[..., Any]
CHANCE = {"chance": 0.1}


def test_networks_at_chance_are_named_first(make_study: MakeStudy) -> None:
    """An arm that guesses is named with its collapse, before its comparisons, in every output."""
    study = make_study()
    for seed in range(2):
        learnt = {"top1": 0.4, "majority.raw": 0.2, "high@10": 0.3, "flops": 9, **CHANCE}
        study.add_trial("none relu", seed, learnt)
        guesses = {"top1": 0.1, "majority.raw": 0.99, "high@10": 0.1, "flops": 9, **CHANCE}
        study.add_trial("none relu6", seed, guesses)

    (caution,) = cautions(study.facts)
    printed, files = study.report()

    assert caution == (
        "Not measurably above chance (10.0 %): product=none activation=relu6 (predicts one class "
        "for 99 % of the images); comparisons with it say nothing."
    )
    assert " ".join(printed.split()).index(caution) < printed.index("front")
    for name in ("ablation.md", "ablation.tex", "pareto.md", "pareto.tex"):
        text = " ".join(files[name].read_text(encoding="utf-8").split())
        assert "Not measurably above chance (10.0" in text


def test_chance_has_the_error_of_the_evaluation_images(make_study: MakeStudy) -> None:
    """Twelve per cent of 256 images is not above a chance of ten; of 10,000 it is."""
    for images, expected in ((256, 1), (10_000, 0)):
        study = make_study()
        study.add({"record": "run", "run": 1, "images": {"evaluation": images}})
        study.add_trial("none relu", 0, {"top1": 0.12, **CHANCE})
        study.add_trial("none relu6", 0, {"top1": 0.5, **CHANCE})
        assert len(study.facts.at_chance) == expected


def test_trials_not_made_alike_are_said_so(make_study: MakeStudy) -> None:
    """Versions of packages and numbers of threads that differ between trials are named."""
    study = make_study()
    for run, torch, cpus in ((1, "2.11.0", 1), (2, "2.13.0", 2), (3, "9.9", 8)):
        packages = {"torch": torch, "timm": "1.0", "ray": f"2.{run}"}
        study.add({"record": "run", "run": run, "threads": cpus, "packages": packages})
    study.add_trial("none relu", 0, {"top1": 0.5}, run=1)
    study.add_trial("none relu6", 0, {"top1": 0.5}, run=2)
    study.add_trial("none gelu", 0, failure="code", error="no", run=3)

    assert study.facts.mixed == ("torch 2.11.0 and 2.13.0", "resources.cpus 1 and 2")
    assert "The trials were not made alike: torch 2.11.0 and 2.13.0; res" in study.report()[0]
