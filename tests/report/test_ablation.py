"""The ablation: comparisons against the statistics module and by hand, verdicts, costs, signs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gmsearch import metrics, stats
from gmsearch.report.comparison import TOO_SMALL, compare_arms
from gmsearch.report.sections.ablation import (
    ablation_csv,
    ablation_notes,
    ablation_tables,
    overview_tables,
)

MakeStudy = Callable[..., Any]
NO_BASELINE = ("baseline: {gate.product: none, gate.activation: relu6}\n", "")


def _add(study: Any, params: str, name: str, values: list[float]) -> None:
    for seed, value in enumerate(values):
        study.add_trial(params, seed, {name: value})


def test_every_arm_is_compared_by_seed_and_corrected_over_the_arms(full_study: Any) -> None:
    """Differences, p and Holm of a whole study equal those computed here arm by arm."""
    facts = full_study.facts
    block = next(b for b in compare_arms(facts).metrics if b.metric.name == "high@10")

    baseline, *others = facts.arms
    pairs = [stats.paired(arm.by_seed("high@10"), baseline.by_seed("high@10")) for arm in others]
    adjusted = stats.holm([pair.p for pair in pairs])

    assert [row.paired for row in block.arms] == [None, *pairs]
    assert [row.p for row in block.arms] == [None, *adjusted]
    assert (block.comparisons, block.needed) == (6, 8)
    assert block.arms[0].verdict == "baseline"


def test_verdicts_follow_the_direction_of_the_metric(make_study: MakeStudy) -> None:
    """A decided rise is better for an accuracy and worse for a loss; the undecided stays so."""
    study = make_study(("{top1: maximize, high@10: maximize,", "{top1: maximize, loss: minimize,"))
    for seed in range(8):
        wave = (-1) ** seed * 0.001 * (1 + seed)
        study.add_trial("none relu6", seed, {"top1": 0.5, "loss": 1.0})
        study.add_trial("none relu", seed, {"top1": 0.6 + wave, "loss": 1.2 + wave})
        study.add_trial("self gelu", seed, {"top1": 0.4 + wave, "loss": 1.0 + wave})

    blocks = {b.metric.name: b for b in compare_arms(study.facts).metrics}

    assert [row.verdict for row in blocks["top1"].arms] == ["baseline", "better", "worse"]
    assert [row.verdict for row in blocks["loss"].arms] == ["baseline", "worse", "undecided"]


@pytest.mark.parametrize(("seeds", "verdict"), [(7, TOO_SMALL), (8, "better")])
def test_too_few_seeds_decide_nothing(
    make_study: MakeStudy, fill: Callable[..., Any], seeds: int, verdict: str
) -> None:
    """Six comparisons over seven seeds cannot be decided, however clear; over eight they can."""
    facts = compare_arms(fill(make_study(), seeds).facts)
    block = next(b for b in facts.metrics if b.metric.name == "high@10")
    notes = " ".join(ablation_notes(facts))

    gated = next(row for row in block.arms if row.arm.short == "self · relu")
    assert gated.verdict == verdict
    assert ("6 comparisons need at least 8 seeds" in notes) == (seeds == 7)


def test_unequal_seeds_pair_where_they_can(make_study: MakeStudy) -> None:
    """Mean and n are over all seeds of an arm, the difference over those of the baseline too."""
    study = make_study()
    _add(study, "none relu6", "top1", [0.5, 0.6])
    _add(study, "none relu", "top1", [0.6, 0.8, 0.1])

    facts = compare_arms(study.facts)
    row = facts.metrics[0].arms[1]

    assert row.summary.n == 3
    assert row.summary.mean == pytest.approx(0.5)
    assert row.paired.n == 2
    assert row.paired.difference == pytest.approx(0.15)
    assert "(n 2)" in ablation_tables(facts)[0].rows[1][3].text


def test_an_arm_without_trials_has_a_row_and_no_numbers(make_study: MakeStudy) -> None:
    """An arm whose trials all failed stays visible, and takes no part in the correction."""
    study = make_study()
    _add(study, "none relu6", "top1", [0.5, 0.6])
    _add(study, "none relu", "top1", [0.6, 0.8])
    study.add_trial("self gelu", 0, failure="code")

    block = compare_arms(study.facts).metrics[0]

    assert block.comparisons == 1
    assert (block.arms[2].summary, block.arms[2].p, block.arms[2].verdict) == (None, None, "")


def test_costs_are_plain_differences_and_latency_has_an_interval(full_study: Any) -> None:
    """A cost differs by what it differs; a latency's interval adds both in quadrature."""
    costs = {block.metric.name: block.arms for block in compare_arms(full_study.facts).costs}
    gated = next(c for c in costs["flops"] if c.arm.short == "self · relu")
    latency = next(c for c in costs["latency_ms"] if c.arm.short == "self · relu")

    assert (gated.difference, gated.difference_interval) == (2048, None)
    assert latency.difference == pytest.approx(1.15 - 1.08)
    half = 0.02 * math.hypot(1.15, 1.08)
    assert latency.difference_interval == pytest.approx((0.07 - half, 0.07 + half))
    assert latency.interval == pytest.approx((0.98 * 1.15, 1.02 * 1.15))
    assert costs["latency_ms"][0].difference is None


def test_what_no_arm_changes_is_said_and_not_tabled(full_study: Any) -> None:
    """Costs equal for all arms are one sentence each, an objective among them is called idle."""
    facts = compare_arms(full_study.facts)
    titles = [table.title for table in ablation_tables(facts)]
    notes = ablation_notes(facts)

    assert "params is 61.18k for every arm." in notes
    assert not any("params" in title for title in titles)
    assert "flops" in titles


def test_a_constant_objective_is_called_out(make_study: MakeStudy) -> None:
    """Where a declared objective is the same for all arms, the table says it decides nothing."""
    study = make_study()
    for params in ("none relu6", "none relu"):
        study.add_trial(params, 0, {"top1": 0.5, "flops": 1000})

    notes = ablation_notes(compare_arms(study.facts))

    assert "flops is 1k for every arm, so this objective has no influence here." in notes


def test_sign_changes_are_within_one_side_of_the_spectrum(make_study: MakeStudy) -> None:
    """An effect up at one radius and down at another is marked; low against high is a finding.

    So is nothing whose interval includes 0: an estimate's sign within noise says nothing.
    """
    study = make_study(("radii: [4, 10]", "radii: [4, 10], ranges: [[0, 4], [4, 10]]"))
    base = dict.fromkeys(("low@4", "high@4", "low@10", "high@10", "band@0:4", "band@4:10"), 0.5)
    for seed in range(3):
        wave = 0.02 * seed
        study.add_trial("none relu6", seed, base)
        study.add_trial("none relu", seed, {**base, "high@4": 0.6 + wave, "band@4:10": 0.4 - wave})
        others = {"high@10": 0.6, "low@10": 0.4, "band@0:4": 0.4}
        study.add_trial("self gelu", seed, {**base, **others})
        noise = {"high@4": 0.48 + wave, "band@4:10": 0.49 + wave, "high@10": 0.51 - wave}
        study.add_trial("self relu", seed, {**base, **noise})

    facts = compare_arms(study.facts)
    marked = {
        (b.metric.name, r.arm.short) for b in facts.metrics for r in b.arms if r.sign_changes
    }

    assert [(c.arm.short, c.positive, c.negative) for c in facts.sign_changes] == [
        ("none · relu", ("high@4",), ("band@4:10",))
    ]
    assert marked == {("high@4", "none · relu"), ("band@4:10", "none · relu")}
    assert "‡ effects whose sign depends on radius or protocol" in [
        table.title for table in ablation_tables(facts)
    ]


def test_band_tables_show_chance_and_the_majority_share(full_study: Any) -> None:
    """Beside every accuracy stand chance and the largest share of one predicted class."""
    tables = ablation_tables(compare_arms(full_study.facts))[:6]

    assert all("chance 10.0" in table.title for table in tables)
    assert all(table.heading[-1] == "maj." for table in tables)
    assert all(row[-1].text.endswith("%") for table in tables for row in table.rows)
    assert [row[-1].text for row in tables[0].rows] == ["13 %"] * 7


def test_without_a_baseline_arms_stand_side_by_side(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """No baseline, no differences: means, spreads and n, and a sentence that says so."""
    facts = compare_arms(fill(make_study(NO_BASELINE), 2).facts)
    table = ablation_tables(facts)[0]

    assert table.heading == ("product · activation", "mean ± sd", "n", "maj.")
    assert "no baseline" in ablation_notes(facts)[0]
    assert [row.verdict for row in facts.metrics[0].arms] == [""] * 7


def test_a_baseline_without_trials_is_said(make_study: MakeStudy) -> None:
    """While the baseline has no completed trial nothing is compared."""
    study = make_study()
    _add(study, "none relu", "top1", [0.6, 0.8])

    facts = compare_arms(study.facts)

    assert "baseline has no completed trial" in ablation_notes(facts)[0]
    assert ablation_tables(facts)[0].heading[:3] == ("product · activation", "mean ± sd", "n")


def test_missing_bands_leave_no_block(make_study: MakeStudy) -> None:
    """A metric that no trial has is no table; one that some arms lack has holes, not zeros."""
    study = make_study()
    study.add_trial("none relu6", 0, {"top1": 0.5, "high@10": 0.2})
    study.add_trial("none relu", 0, {"top1": 0.5})

    facts = compare_arms(study.facts)
    table = ablation_tables(facts)[1]

    assert [block.metric.name for block in facts.metrics] == ["top1", "high@10"]
    assert [cell.text for cell in table.rows[1]][:3] == ["none · relu", "–", "0"]  # noqa: RUF001


def test_ranks_are_by_what_reads_alike(make_study: MakeStudy) -> None:
    """Arms equal in the digits shown share a rank, and a column of one value has none."""
    study = make_study()
    for params, top1 in (("none relu6", 0.5), ("none relu", 0.70001), ("none gelu", 0.7)):
        study.add_trial(params, 0, {"top1": top1, "nodc": 0.3})

    tables = overview_tables(compare_arms(study.facts))

    assert [row[1].rank for row in tables[0].rows] == [2, 1, 1]
    assert [row[2].rank for row in tables[0].rows] == [0, 0, 0]


def test_csv_has_every_number_unrounded(full_study: Any) -> None:
    """Each metric and arm is one row that gives back the exact mean, and nothing reads as zero."""
    facts = compare_arms(full_study.facts)
    rows = list(csv.DictReader(io.StringIO(ablation_csv(facts))))

    assert len(rows) == 7 * (len(facts.metrics) + len(facts.costs))
    top1 = {row["label"]: row for row in rows if row["metric"] == "top1"}
    for arm in full_study.facts.arms:
        assert float(top1[arm.label]["mean"]) == arm.mean("top1")
    assert top1["product=none activation=relu6"]["difference"] == ""
    latency = [row for row in rows if row["metric"] == "latency_ms"]
    assert all(float(row["low"]) < float(row["mean"]) < float(row["high"]) for row in latency)


@pytest.fixture
def registered() -> Iterator[None]:
    """Register a metric as a plugin does, and remove it afterwards."""
    metrics.register("ece", better="lower", source="ab" * 32)
    yield
    metrics.forget("ab" * 32)


def test_metrics_of_plugins_are_compared(make_study: MakeStudy, registered: None) -> None:
    """A plugin's metric is compared in its better direction, objective or not, on bands too."""
    study = make_study(("high@10: maximize", "ece.high@10: minimize"))
    for seed in range(8):
        noise = (-1) ** seed * 0.001 * (1 + seed)
        study.add_trial("none relu6", seed, {"ece": 0.1, "ece.high@10": 0.3})
        study.add_trial("none relu", seed, {"ece": 0.2 + noise, "ece.high@10": 0.2 + noise})

    comparisons = {c.metric.name: c for c in compare_arms(study.facts).metrics}

    assert [arm.verdict for arm in comparisons["ece"].arms] == ["baseline", "worse"]
    assert [arm.verdict for arm in comparisons["ece.high@10"].arms] == ["baseline", "better"]
    assert comparisons["ece"].metric.title == "ece ↓"
