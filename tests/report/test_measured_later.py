"""What was measured of finished trials later stands in every table, and marks what hangs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gmsearch.experiment import Bands
from gmsearch.report.comparison import compare_arms
from gmsearch.report.sections.protocol import measured_notes

MakeStudy = Callable[..., Any]


def later(study: Any, params: str, seed: int, metrics: dict[str, float], **options: Any) -> None:
    """Append what was measured later of a trial of the arm `none relu` or the like."""
    product, activation = params.split()
    arm = study.space.arm({"gate.product": product, "gate.activation": activation})
    study.add(
        {
            "record": "measure",
            "key": f"{arm.digest}-{seed}",
            "request": "-".join([*metrics, *options.values()]).replace("@", "_"),
            "split": "evaluation",
            "protocol": Bands(**options).protocol,
            "metrics": metrics,
            "attempt": 1,
        }
    )


@pytest.fixture
def study(make_study: MakeStudy) -> Any:
    """Return a study of two arms and three seeds, one band of its own and two measured later."""
    made = make_study()
    for seed in range(3):
        made.add_trial("none relu6", seed, {"high@10": 0.30 + seed / 100, "top1": 0.7})
        made.add_trial("self relu6", seed, {"high@10": 0.35 + seed / 100, "top1": 0.7})
        for params, high, dropped in (("none relu6", 0.2, 0.18), ("self relu6", 0.3, 0.16)):
            metrics = {"high@6": high, "low@6": 0.5, "majority.high@6": 0.4}
            later(made, params, seed, metrics)
            later(made, params, seed, {"high@10": dropped, "majority.high@10": 0.66}, dc="drop")
    return made


def test_bands_measured_later_are_compared_like_the_others(study: Any) -> None:
    """They follow the study's own, by protocol and radius, each with its own majority."""
    blocks = {block.metric.name: block for block in compare_arms(study.facts).metrics}

    assert list(blocks) == ["top1", "high@10", "low@6", "high@6", "high@10[dc=drop]"]
    assert [row.majority for row in blocks["high@6"].arms] == pytest.approx([0.4, 0.4])
    assert [row.majority for row in blocks["high@10[dc=drop]"].arms] == pytest.approx([0.66] * 2)
    assert blocks["high@6"].arms[1].paired.difference == pytest.approx(0.1)
    assert blocks["high@10[dc=drop]"].metric.form == "share"


def test_an_effect_whose_sign_hangs_on_the_protocol_is_marked(study: Any) -> None:
    """+5 points with the mean put back, -2 without: both are marked, and named side by side."""
    facts = compare_arms(study.facts)

    ((change),) = facts.sign_changes
    assert change.positive == ("high@10", "high@6")
    assert change.negative == ("high@10[dc=drop]",)
    marked = {b.metric.name for b in facts.metrics for row in b.arms if row.sign_changes}
    assert marked == {"high@10", "high@6", "high@10[dc=drop]"}
    printed, files = study.report("ablation")
    assert "‡" in printed
    assert "depends on the radius or protocol chosen" in " ".join(printed.split())
    assert "high@10{[}dc=drop]" in files["ablation.tex"].read_text(encoding="utf-8")


def test_every_file_has_what_was_measured_later(study: Any) -> None:
    """The tables of arms and of trials hold the added metrics under their names."""
    _, files = study.report()

    for name in ("ablation.csv", "ablation.md", "trials.csv"):
        text = files[name].read_text(encoding="utf-8")
        assert "high@6" in text
        assert "high@10[dc=drop]" in text


def test_how_it_was_measured_says_what_came_later(study: Any) -> None:
    """The radii that were added have their share of the frequencies, and the rest is named."""
    notes = " ".join(measured_notes(study.facts))

    assert "r = 6 keeps 11 %" in notes
    assert "saved weights: low@6, high@6, high@10[dc=drop]" in notes
