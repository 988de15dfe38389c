"""The front: who may be on it, on what it is judged, and how sure it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from gmsearch import pareto
from gmsearch.records import State
from gmsearch.report.comparison import compare_arms
from gmsearch.report.dominance import FrontFacts, find_front
from gmsearch.report.sections.ablation import ablation_notes, ablation_tables
from gmsearch.report.sections.front import SHOWN_ARMS, front_csv, front_notes, front_tables

MakeStudy = Callable[..., Any]
OBJECTIVES = "{top1: maximize, high@10: maximize, flops: minimize, latency_ms: minimize}"
TWO = (OBJECTIVES, "{top1: maximize, flops: minimize}")


def _members(facts: FrontFacts) -> set[str]:
    return {point.arm.short for point in facts.members}


def test_the_front_is_that_of_the_means(full_study: Any) -> None:
    """Points, mask and order follow from the means over the seeds and the directions."""
    facts = find_front(full_study.facts)
    names = [axis.metric.name for axis in facts.axes]
    signs = [-1, -1, 1, 1]

    means = [[s * p.arm.mean(n) for s, n in zip(signs, names, strict=True)] for p in facts.points]

    assert [p.on_front for p in facts.points] == pareto.front(means).tolist()
    assert [p.on_front for p in facts.points] == sorted(
        [p.on_front for p in facts.points], reverse=True
    )
    assert len(facts.points) == 7
    assert {p.n for p in facts.points} == {8}


def test_seeds_are_averaged_before_dominance(make_study: MakeStudy) -> None:
    """One lucky seed that no trial dominates puts no arm on the front whose mean is dominated."""
    study = make_study(TWO)
    for seed, (steady, lucky) in enumerate([(0.6, 0.9), (0.6, 0.1)]):
        study.add_trial("none relu6", seed, {"top1": steady, "flops": 100})
        study.add_trial("none relu", seed, {"top1": lucky, "flops": 100})

    assert _members(find_front(study.facts)) == {"none · relu6"}


def test_only_complete_trials_count(make_study: MakeStudy) -> None:
    """PRUNED, FAILED and INFEASIBLE are never on a front, however good their numbers."""
    study = make_study(TWO)
    best = {"top1": 0.99, "flops": 1}
    study.add_trial("none relu6", 0, {"top1": 0.5, "flops": 100})
    study.add_trial("none relu", 0, best, state=State.PRUNED)
    study.add_trial("none gelu", 0, best, failure="code")
    study.add_trial("self gelu", 0, best, state=State.INFEASIBLE)
    study.add_infeasible("self relu", "flops")

    facts = find_front(study.facts)

    assert _members(facts) == {"none · relu6"}
    assert {reason for _, reason in facts.left_out} == {"no trial completed"}
    assert len(facts.points) == 1


def test_constraints_are_judged_by_means_and_the_baseline(make_study: MakeStudy) -> None:
    """An arm whose mean breaks a bound, a multiple of the baseline's included, is left out."""
    study = make_study(
        TWO, ("search:", "constraints: {top1: {min: 0.4}, flops: {max: 1.2 x baseline}}\nsearch:")
    )
    for params, top1, flops in (
        ("none relu6", (0.4, 0.6), 100),
        ("none relu", (0.9, 0.9), 121),
        ("none gelu", (0.8, 0.8), 120),
        ("self gelu", (0.5, 0.2), 90),
    ):
        for seed, value in enumerate(top1):
            study.add_trial(params, seed, {"top1": value, "flops": flops})

    facts = find_front(study.facts)

    assert _members(facts) == {"none · relu6", "none · gelu"}
    reasons = {arm.short: reason for arm, reason in facts.left_out}
    assert reasons["none · relu"] == "breaks flops <= 1.2 x baseline"
    assert reasons["self · gelu"] == "breaks 0.4 <= top1"


@pytest.mark.parametrize(("latency", "feasible"), [(1.01, True), (1.03, False)])
def test_a_latency_breaks_its_bound_with_its_whole_interval(
    make_study: MakeStudy, latency: float, *, feasible: bool
) -> None:
    """With an interval of 2 %, 1.01 ms may be 1.00, and 1.03 may not."""
    study = make_study(TWO, ("search:", "constraints: {latency_ms: {max: 1.0}}\nsearch:"))
    study.add_trial("none relu", 0, {"top1": 0.5, "flops": 100})
    study.add_timing("none relu", latency)

    assert bool(find_front(study.facts).points) == feasible


def test_what_was_not_measured_is_left_out_with_the_reason(make_study: MakeStudy) -> None:
    """An arm without an objective, without all in one seed, or that cannot be judged, says so."""
    study = make_study(
        (OBJECTIVES, "{top1: maximize, high@10: maximize}"),
        ("search:", "constraints: {latency_ms: {max: 1.0}}\nsearch:"),
    )
    study.add_trial("none relu6", 0, {"top1": 0.5})
    study.add_trial("none relu", 0, {"top1": 0.5})
    study.add_trial("none relu", 1, {"high@10": 0.5})
    study.add_trial("none gelu", 0, {"top1": 0.5, "high@10": 0.5})

    facts = find_front(study.facts)

    assert {arm.short: reason for arm, reason in facts.left_out} == {
        "none · relu6": "high@10 not measured",
        "none · relu": "no seed has all objectives",
        "none · gelu": "latency_ms <= 1 cannot be judged: latency_ms not measured",
    }
    assert "there is no front" in front_notes(facts)[0]


def test_a_search_is_judged_on_the_holdout_and_shown_on_the_evaluation_split(
    make_study: MakeStudy,
) -> None:
    """The holdout decides who is on the front; the table has both splits, the notes say which."""
    study = make_study(TWO, ("method: grid, seeds: 8", "method: random, candidates: 4, seeds: 1"))
    study.add_trial("none relu", 0, {"top1": 0.9, "holdout.top1": 0.5, "flops": 100})
    study.add_trial("none gelu", 0, {"top1": 0.1, "holdout.top1": 0.6, "flops": 100})

    facts = find_front(study.facts)
    (table,) = front_tables(facts)

    assert _members(facts) == {"none · gelu"}
    assert table.heading[1:4] == ("holdout.top1 ↑ (%)", "top1 ↑ (%)", "flops ↓")
    assert [cell.text for cell in table.rows[0]][1:3] == ["60.0", "10.0"]


def test_equal_arms_share_the_front(make_study: MakeStudy) -> None:
    """Arms with equal means are all members; none is dropped for being second."""
    study = make_study(TWO)
    for params in ("none relu6", "none relu", "self gelu"):
        study.add_trial(params, 0, {"top1": 0.5, "flops": 100})

    facts = find_front(study.facts)

    assert len(facts.members) == 3
    assert facts.volume is None
    assert set(facts.constant) == {"top1", "flops"}


def test_probability_follows_the_spread(make_study: MakeStudy) -> None:
    """A sure winner has 1, a sure loser 0, twins in between; a single seed has no place."""
    study = make_study((OBJECTIVES, "{top1: maximize}"))
    for seed in range(6):
        wave = (-1) ** seed * 0.01
        study.add_trial("none relu6", seed, {"top1": 0.6 + wave})
        study.add_trial("none relu", seed, {"top1": 0.6001 - wave})
        study.add_trial("none gelu", seed, {"top1": 0.5 + wave})
    study.add_trial("self gelu", 0, {"top1": 0.4})

    facts = find_front(study.facts)
    chances = {p.arm.short: p.probability for p in facts.points}

    assert 0.2 < chances["none · relu6"] < 0.8
    assert chances["none · relu6"] + chances["none · relu"] == pytest.approx(1, abs=0.02)
    assert chances["none · gelu"] == 0
    assert [(arm.short, reason) for arm, reason in facts.left_out] == [
        ("self · gelu", "only 1 of 6 seeds")
    ]


def test_few_seeds_have_no_probability(make_study: MakeStudy) -> None:
    """Resampling fewer than five seeds says nothing about others, so nothing is printed."""
    study = make_study((OBJECTIVES, "{top1: maximize}"))
    for seed in range(4):
        study.add_trial("none relu6", seed, {"top1": 0.6})
        study.add_trial("none relu", seed, {"top1": 0.5})

    assert [point.probability for point in find_front(study.facts).points] == [None, None]


def test_arms_are_judged_by_the_seeds_they_share(make_study: MakeStudy) -> None:
    """Two equal arms stay equal when one lacks the seeds on which both do well."""
    study = make_study((OBJECTIVES, "{top1: maximize}"))
    scores = (0.52, 0.6, 0.77, 0.75, 0.7, 0.5)
    for seed, score in enumerate(scores):
        study.add_trial("none relu", seed, {"top1": score})
        study.add_trial("self gelu", seed, {"top1": score - 0.01})
        if seed not in (2, 3):
            study.add_trial("none relu6", seed, {"top1": score})

    facts = find_front(study.facts)

    assert facts.compared.basis == "shared"
    assert {point.n for point in facts.points} == {4}
    assert {point.arm.short for point in facts.members} == {"none · relu6", "none · relu"}
    assert any("compares them over the 4 that all of them have" in n for n in front_notes(facts))


def test_nothing_is_best_where_seeds_differ(make_study: MakeStudy) -> None:
    """With too few common seeds means are adjusted, nothing is bold or a knee, and it is said."""
    study = make_study((OBJECTIVES, "{top1: maximize, high@10: maximize}"))
    for seed in range(8):
        score = 0.5 + 0.03 * (seed % 4)
        study.add_trial("none relu", seed, {"top1": score, "high@10": 0.4})
        if seed < 4:
            study.add_trial("self relu", seed, {"top1": score + 0.02, "high@10": 0.3})
        else:
            study.add_trial("none relu6", seed, {"top1": score + 0.01, "high@10": 0.35})

    facts = find_front(study.facts)
    means = {point.arm.short: point.judged[0].mean for point in facts.points}

    assert facts.compared.basis == "adjusted"
    assert means["self · relu"] - means["none · relu6"] == pytest.approx(0.01)
    assert not any(point.knee or point.probability is not None for point in facts.points)
    assert not any(
        cell.rank for table in front_tables(facts) for row in table.rows for cell in row
    )
    assert any("adjusted for the seeds" in note for note in front_notes(facts))
    ablation = compare_arms(study.facts)
    cells = [c for table in ablation_tables(ablation) for row in table.rows for c in row]
    assert not any(cell.rank for cell in cells if "±" in cell.text)
    assert any("not to be compared" in note for note in ablation_notes(ablation))


def test_an_objective_equal_on_average_is_not_called_unaffected(make_study: MakeStudy) -> None:
    """Equal means of different seeds are a coincidence, and said to be one."""
    study = make_study((OBJECTIVES, "{top1: maximize, flops: minimize}"))
    for seed, (one, other) in enumerate(((0.141, 0.145), (0.102, 0.098))):
        study.add_trial("none relu6", seed, {"top1": one, "flops": 100})
        study.add_trial("none relu", seed, {"top1": other, "flops": 100})

    notes = front_notes(find_front(study.facts))

    assert (
        "top1 is 12.2 % on average for every arm, though not seed by seed; it has no influence on "
        "the front."
    ) in notes
    assert any(note.startswith("flops is the same for every arm: nothing") for note in notes)


def test_timing_spread_counts_too(make_study: MakeStudy) -> None:
    """Two latencies a tenth of their interval apart leave both arms a chance; far ones do not."""
    study = make_study((OBJECTIVES, "{latency_ms: minimize}"))
    for params, latency in (("none relu6", 1.0), ("none relu", 1.001), ("none gelu", 2.0)):
        study.add_timing(params, latency)
        for seed in range(2):
            study.add_trial(params, seed, {"top1": 0.5})

    chances = {p.arm.short: p.probability for p in find_front(study.facts).points}

    assert 0.2 < chances["none · relu"] < 0.5
    assert chances["none · gelu"] == 0


def test_hypervolume_is_the_share_of_its_box(make_study: MakeStudy) -> None:
    """Ideal, reference and share of a front drawn on paper; constant objectives stay out."""
    study = make_study((OBJECTIVES, "{top1: maximize, flops: minimize, params: minimize}"))
    for params, top1, flops in (
        ("none relu6", 0.5, 100),
        ("none relu", 0.6, 200),
        ("none gelu", 0.55, 200),
    ):
        study.add_trial(params, 0, {"top1": top1, "flops": flops, "params": 7})

    facts = find_front(study.facts)

    assert facts.constant == ("params",)
    assert facts.volume is not None
    assert facts.volume.ideal == pytest.approx({"top1": 0.6, "flops": 100})
    assert facts.volume.reference == pytest.approx({"top1": 0.49, "flops": 210})
    # Of a box 1.1 x 1.1: 0.1 x 1.1 for the first, 1 x 0.1 above it for the second.
    assert facts.volume.share == pytest.approx((0.1 * 1.1 + 1 * 0.1) / 1.21)
    assert "top1 60.0 %, flops 100" in " ".join(front_notes(facts))


def test_the_knee_is_marked(make_study: MakeStudy) -> None:
    """The member that bulges is the knee, in facts and table."""
    study = make_study(TWO)
    for params, top1, flops in (
        ("none relu6", 0.5, 100),
        ("none relu", 0.6, 120),
        ("none gelu", 0.61, 300),
    ):
        study.add_trial(params, 0, {"top1": top1, "flops": flops})

    facts = find_front(study.facts)

    assert [p.arm.short for p in facts.points if p.knee] == ["none · relu"]
    assert {row[0].text: row[-1].text for row in front_tables(facts)[0].rows} == {
        "none · gelu": "yes",
        "none · relu": "knee",
        "none · relu6 (baseline)": "yes",
    }


def test_a_long_front_shows_its_members_and_says_so(make_study: MakeStudy) -> None:
    """Many arms: the table has the front, a sentence the number left away, the CSV all."""
    study = make_study(
        TWO,
        ("stem_width: 16", "stem_width: {int: [8, 40]}"),
        ("product: none,", "product: none, stem_width: 16,"),
    )
    for width in range(8, 40):
        params = {"stem_width": width, "gate.product": "none", "gate.activation": "relu"}
        top1 = 0.5 if width < 10 else 0.1
        study.add_trial(params, 0, {"top1": top1 + width / 1000, "flops": width})

    facts = find_front(study.facts)
    rows = list(csv.DictReader(io.StringIO(front_csv(facts))))

    assert len(facts.points) > SHOWN_ARMS
    assert len(front_tables(facts)[0].rows) == len(facts.members) == 2
    assert "30 dominated arms are not shown" in " ".join(front_notes(facts))
    assert len(rows) == 32


def test_csv_has_means_unrounded_and_those_left_out(full_study: Any) -> None:
    """Every arm is one row; an arm left out has its reason and no numbers."""
    full_study.add_trial("none relu6", 99, failure="code")
    full_study.add_trial({"gate.product": "self", "gate.activation": "relu"}, 99, failure="code")
    facts = find_front(full_study.facts)

    rows = list(csv.DictReader(io.StringIO(front_csv(facts))))

    for point, row in zip(facts.points, rows, strict=False):
        assert float(row["high@10"]) == point.arm.mean("high@10")
        assert float(row["latency_ms.low"]) == point.arm.timings["latency_ms"].low
        assert row["left_out"] == ""
    assert [int(row["on_front"]) for row in rows] == [int(p.on_front) for p in facts.points]
