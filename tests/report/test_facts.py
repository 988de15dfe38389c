"""Facts: what of the records is taken, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gmsearch.display import MINUS
from gmsearch.experiment import Objective
from gmsearch.records import Failure, State
from gmsearch.report.shown import shown_metric
from gmsearch.stats import Summary

MakeStudy = Callable[..., Any]


def test_arms_come_baseline_first_then_as_asked(make_study: MakeStudy) -> None:
    """The baseline leads whatever was asked for first; the rest keeps the order of the asks."""
    study = make_study()
    for number, activation in enumerate(("gelu", "relu", "relu6")):
        params = {"gate.product": "none", "gate.activation": activation}
        arm = study.space.arm(params).digest
        study.add({"record": "ask", "number": number, "params": params, "arm": arm})
    for params in ("none relu", "none relu6", "none gelu", "self gelu"):
        study.add_trial(params, 0, {"top1": 0.5})

    found = study.facts

    shorts = [arm.short for arm in found.arms]
    assert shorts == ["none · relu6", "none · gelu", "none · relu", "self · gelu"]
    assert found.heading == "product · activation"
    assert [arm.baseline for arm in found.arms] == [True, False, False, False]
    assert found.arms[1].label == "product=none activation=gelu"


def test_only_complete_trials_give_numbers(make_study: MakeStudy) -> None:
    """FAILED and PRUNED trials are counted with their reason and give no value."""
    study = make_study()
    error = "Traceback\n  f()\nout of memory\x1b[1m"
    study.add_trial("none relu", 0, {"top1": 0.5})
    study.add_trial("none relu", 1, {"top1": 0.9}, state=State.PRUNED)
    study.add_trial("none relu", 2, failure=Failure.OOM, error=error)
    study.add_trial("self gelu", 0, failure=Failure.OOM, error="out of memory")

    found = study.facts

    assert [arm.by_seed("top1") for arm in found.arms] == [{0: 0.5}, {}]
    assert [arm.short for arm in found.measured] == ["none · relu"]
    assert {(o.state, o.count, o.of, o.reason) for o in found.endings} == {
        ("COMPLETE", 1, "trials", ""),
        ("PRUNED", 1, "trials", ""),
        ("FAILED", 2, "trials", "oom: out of memory\\x1b[1m"),
    }


def test_a_timing_that_failed_is_counted(make_study: MakeStudy) -> None:
    """Lost timings are told with their reason, unless a later attempt succeeded."""
    study = make_study()
    lost = {"metrics": {}, "failure": "oom", "error": "too large"}
    study.add_timing("none relu", 1.0, **lost)
    study.add_timing("none relu", 1.0, attempt=2)
    study.add_timing("none gelu", 1.0, **lost)

    found = study.facts.endings

    assert [(o.state, o.count, o.of, o.reason) for o in found] == [
        ("FAILED", 1, "timings", "oom: too large")
    ]


def test_infeasible_arms_are_counted_by_constraint(make_study: MakeStudy) -> None:
    """An arm is counted once, and not at all once it was trained after all."""
    study = make_study()
    study.add_infeasible("none relu", "flops")
    study.add_infeasible("none relu", "flops")
    study.add_infeasible("self gelu", "flops")
    study.add_trial("self gelu", 0, {"top1": 0.5})

    infeasible = [o for o in study.facts.endings if o.state == "INFEASIBLE"]

    assert [(o.count, o.of) for o in infeasible] == [(1, "arms")]
    assert "flops" in infeasible[0].reason


def test_what_the_space_forbids_by_now_is_left_out(make_study: MakeStudy) -> None:
    """Records of an arm that the changed space forbids are counted, not shown."""
    forbid = "forbid:\n  - {gate.product: self, gate.activation: gelu}\n"
    study = make_study(("forbid:\n", forbid))
    study.add_trial("self gelu", 0, {"top1": 0.5})
    study.add_trial("none relu", 0, {"top1": 0.5})

    found = study.facts

    assert [arm.short for arm in found.arms] == ["none · relu"]
    assert [o.count for o in found.endings if o.state == "LEFT OUT"] == [1]


def test_a_seed_measured_twice_counts_once(make_study: MakeStudy) -> None:
    """Of two trials of one arm and seed, as after a change of device, the last counts."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5})
    study.add_trial("none relu", 0, {"top1": 0.7}, key="elsewhere")

    assert study.facts.arms[0].by_seed("top1") == {0: 0.7}
    assert study.facts.repeated == 1


def test_latencies_of_another_setup_are_left_out(make_study: MakeStudy) -> None:
    """Only timings made as the latest was are compared; what the candidate decides may differ."""
    study = make_study()
    study.add_timing("none relu", 9.0, protocol={"threads": 4, "folded_batch_norms": 3})
    study.add_timing("self gelu", 2.0, protocol={"threads": 1, "folded_batch_norms": 3})
    study.add_timing("none relu6", 1.0, protocol={"threads": 1, "folded_batch_norms": 5})
    for params in ("none relu", "self gelu"):
        study.add_trial(params, 0, {"top1": 0.5})

    found = study.facts

    assert [arm.cost("latency_ms") for arm in found.arms] == [None, 2.0]
    assert found.timings is not None
    assert found.timings.otherwise == 1
    assert found.timings.protocol == {"threads": 1}


def test_labels_stay_whole_where_arms_differ_in_parameters(make_study: MakeStudy) -> None:
    """A conditional parameter leaves no common heading, so that each label keeps its names."""
    kernel = "kernel_size: {choice: [3, 5], when: {gate.product: dw}, else: 3}"
    study = make_study(
        ("    activation: {choice:", f"    {kernel}\n    activation: {{choice:"),
        ("choice: [none, self]", "choice: [none, self, dw]"),
    )
    both = {"gate.product": "dw", "gate.kernel_size": 5, "gate.activation": "relu"}
    study.add_trial("none relu", 0, {"top1": 0.5})
    study.add_trial(both, 0, {"top1": 0.5})

    found = study.facts

    assert found.heading == "arm"
    assert [arm.short for arm in found.arms] == [arm.label for arm in found.arms]


def test_the_method_says_which_split_decides(make_study: MakeStudy) -> None:
    """A search is judged on the holdout, an ablation or grid on what it shows; costs have none."""
    grid = make_study().facts
    search = make_study(("method: grid", "method: random, candidates: 3")).facts

    assert [grid.chosen_by(name) for name in ("top1", "flops")] == ["top1", "flops"]
    assert search.chosen_by("high@10") == "holdout.high@10"
    assert search.chosen_by("latency_ms") == "latency_ms"


def test_unmeasured_is_absent(make_study: MakeStudy) -> None:
    """A metric that no trial has gives no summary, and the latency of a candidate has no sd."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5})
    study.add_timing("none relu", 1.5)

    arm = study.facts.arms[0]

    assert arm.summary("high@10") is None
    assert arm.mean("flops") is None
    assert arm.summary("latency_ms") == Summary(1.5, None, 1)


@pytest.mark.parametrize(
    ("name", "value", "text", "signed"),
    [
        ("top1", 0.61234, "61.2", "+61.2"),
        ("holdout.high@10", -0.0123, "-1.2", "-1.2"),
        ("band@4:10", 0.0001, "0.0", "0.0"),
        ("loss", 1.23456, "1.235", "+1.235"),
        ("latency_ms", 12.5, "12.500", "+12.500"),
        ("flops", 1_241_744_512, "1.242G", "+1.242G"),
        ("params", 61_178, "61.18k", "+61.18k"),
        ("flops", 0, "0", "0"),
        ("flops", -2048, "-2.048k", "-2.048k"),
    ],
)
def test_numbers_are_written_in_their_unit(
    name: str, value: float, text: str, signed: str
) -> None:
    """Shares in %, counts with a prefix, nothing as minus zero, a sign only for differences."""
    shown = shown_metric(name, (), 1000)

    assert shown.text(value) == text.replace("-", MINUS)
    assert shown.text(value, signed=True) == signed.replace("-", MINUS)


def test_direction_and_decimals() -> None:
    """Accuracies are better high and costs low unless declared; a large split earns a decimal."""
    names = ("top1", "nodc", "holdout.low@4", "loss", "flops", "latency_ms", "train_loss")
    declared = Objective(metric="loss", direction="maximize")

    assert [shown_metric(n, (), None).maximize for n in names] == [True] * 3 + [False] * 4
    assert shown_metric("loss", (declared,), None).maximize
    assert shown_metric("top1", (), 10_000).text(0.5) == "50.00"
    assert shown_metric("top1", (), 3925).title == "top1 ↑ (%)"
    assert shown_metric("latency_ms", (), None).title == "latency_ms ↓ (ms)"
