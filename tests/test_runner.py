"""Running one plan: equal on a worker used before, failures as records, durable before told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gmsearch import runner
from gmsearch.candidate import Arm, Bands, Spectral, candidate_from, recipe_from
from gmsearch.data import load
from gmsearch.trial import Plan, Progress, plan_from

DATA = Spectral(classes=3, train_images=60, evaluation_images=30)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return the plan of a tiny trial."""
    arm = Arm(
        candidate=candidate_from({"widths": [4, 8], "depths": [1, 1], "kernel_size": 3}),
        recipe=recipe_from({"epochs": 2, "batch_size": 16}),
    )
    return Plan(
        kind="trial",
        key="k",
        arm=arm,
        params={"gate.product": "self"},
        seed=0,
        data=DATA,
        data_identity=load(DATA).identity,
        bands=Bands(radii=(4.0,), ranges=((4.0, 8.0),)),
        device="cpu",
        threads=1,
        study_dir=str(tmp_path),
        known={"flops": 7.0},
    )


def run(plan: Plan) -> tuple[list[Progress], dict[str, Any]]:
    """Run to the end; return the epochs and the record."""
    work, epochs = runner.run(plan), []
    while True:
        try:
            epochs.append(next(work))
        except StopIteration as end:
            return epochs, end.value


def meaning(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what is measured anew every time."""
    return {name: value for name, value in record.items() if name != "seconds"}


def test_a_plan_survives_json(plan: Plan) -> None:
    """A plan sent to another process as text is the same plan."""
    assert plan_from(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_record_is_durable_before_it_is_told(plan: Plan) -> None:
    """The spool holds the record when `run` returns it, and it holds what was known before."""
    epochs, record = run(plan)
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert json.loads((Path(plan.study_dir) / "spool" / "k.json").read_text()) == record
    assert record["state"] == "COMPLETE"
    assert record["metrics"]["flops"] == 7.0
    assert {"band@4:8", "holdout.band@4:8", "majority.band@4:8"} <= set(record["metrics"])


def test_a_worker_gives_the_same_bits_whatever_it_ran_before(plan: Plan) -> None:
    """First and fourth trial of one process are equal, other arms and a failure between them."""
    _, first = run(plan)
    other = dataclasses.replace(plan, seed=5)
    run(other)
    broken = recipe_from({"epochs": 1, "batch_size": 16, "lr": 1e30, "optimizer": "sgd"})
    _, failed = run(dataclasses.replace(plan, arm=dataclasses.replace(plan.arm, recipe=broken)))
    assert failed["failure"] == "diverged"
    torch.manual_seed(99)
    _, again = run(plan)
    assert meaning(again) == meaning(first)


@pytest.mark.parametrize(
    ("change", "failure", "words"),
    [
        ({"data_identity": "0" * 16}, "infrastructure", "changed since the study began"),
        ({"device": "no-such-device"}, "code", "device"),
        ({"bands": Bands(radii=(400.0,))}, "code", "radii"),
    ],
)
def test_what_goes_wrong_is_a_record(
    plan: Plan, change: dict[str, Any], failure: str, words: str
) -> None:
    """Nothing a trial meets is raised: it is spooled as FAILED, with its class and its words."""
    _, record = run(dataclasses.replace(plan, **change))
    assert record["state"] == "FAILED"
    assert record["failure"] == failure
    assert words in record["error"]
    assert record["metrics"] == {}


def test_a_timing_says_how_it_was_measured(plan: Plan) -> None:
    """A timing's record holds the interval, the ratio to the reference and the protocol."""
    _, record = run(dataclasses.replace(plan, kind="timing", wanted=("throughput_ips@b2",)))
    metrics = record["metrics"]
    low, middle, high = (metrics[f"latency_ms@b2{end}"] for end in (".low", "", ".high"))
    assert low <= middle <= high
    assert metrics["throughput_ips@b2"] == pytest.approx(2000 / middle)
    assert "latency_ms" not in metrics
    assert record["protocol"]["resolution"] == 32
    assert record["protocol"]["folded_batch_norms"] > 0
    assert isinstance(record["disturbed"], bool)
