"""Running one plan: equal on a worker used before, failures as records, durable before told."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gmsearch import runner
from gmsearch.data import load
from gmsearch.experiment import (
    Arm,
    Bands,
    Plan,
    Progress,
    Spectral,
    TimingPlan,
    TrialPlan,
    plan_from,
    recipe_from,
)
from gmsearch.ledger import read_history
from gmsearch.ledger import read_records as ledger_read
from gmsearch.networks import candidate_from

DATA = Spectral(classes=3, train_images=60, evaluation_images=30)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return the plan of a tiny trial."""
    arm = Arm(
        candidate=candidate_from({"widths": [4, 8], "depths": [1, 1], "kernel_size": 3}),
        recipe=recipe_from({"epochs": 2, "batch_size": 16}),
    )
    return TrialPlan(
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


def timing_of(plan: Plan, *wanted: str) -> TimingPlan:
    """Return the plan of timing the same candidate."""
    names = {field.name for field in dataclasses.fields(Plan)}
    return TimingPlan(wanted=wanted, **{name: getattr(plan, name) for name in names})


def run(plan: Plan) -> tuple[list[Progress], dict[str, Any]]:
    """Run to the end; return the epochs and the record."""
    work, epochs = runner.run(plan), []
    while True:
        try:
            epochs.append(next(work))
        except StopIteration as end:
            return epochs, end.value.to_json()


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


def test_a_trial_says_how_it_was_trained(plan: Plan) -> None:
    """The record holds the dtype and the digest of the kept weights, whose file gives the same."""
    _, record = run(plan)
    kept = Path(plan.study_dir) / "weights" / "k.safetensors"
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    assert record["training"] == {"dtype": "float32", "weights_sha256": digest}


def checkpointed(plan: Plan, **changes: Any) -> Plan:
    """Return the plan with four epochs, a checkpoint behind every one."""
    recipe = recipe_from({"epochs": 4, "batch_size": 16, "ema": 0.5, "checkpoint_every": 1})
    arm = dataclasses.replace(plan.arm, recipe=recipe)
    return dataclasses.replace(plan, arm=arm, **changes)


def stopped(plan: Plan, epochs: int) -> Path:
    """Run so many epochs and no further; return the checkpoint."""
    work = runner.run(plan)
    for _ in range(epochs):
        next(work)
    work.close()
    return Path(plan.study_dir) / "checkpoints" / f"{plan.key}.pt"


def ending(record: dict[str, Any]) -> dict[str, Any]:
    """Return what does not depend on where a trial was interrupted."""
    training = {k: v for k, v in record["training"].items() if k != "continued_from"}
    return {**meaning(record), "training": training}


def test_an_interrupted_trial_goes_on(plan: Plan, tmp_path: Path) -> None:
    """Stopped twice, it ends in the same bits, epochs and curves, and says where it was taken up.

    Its checkpoints are gone once its record is in the spool.
    """
    plan = checkpointed(plan)
    other = tmp_path / "undisturbed"
    other.mkdir()
    _, undisturbed = run(dataclasses.replace(plan, study_dir=str(other)))
    path = stopped(plan, 1)
    stopped(plan, 2)
    assert torch.load(path, weights_only=True)["training"]["epoch"] == 3
    epochs, record = run(plan)
    assert [epoch.epoch for epoch in epochs] == [4]
    assert record["training"]["continued_from"] == [1, 3]
    assert ending(record) == ending(undisturbed)
    curves = [read_history(Path(folder), "k") for folder in (plan.study_dir, other)]
    assert curves[0] == curves[1]
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        None,
    ],
    ids=["half written", "one bit", "gone"],
)
def test_a_damaged_checkpoint_is_not_taken_up(
    plan: Plan, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    """The one before it counts, with a warning."""
    plan = checkpointed(plan)
    path = stopped(plan, 3)
    data = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage(data))
    _, record = run(plan)
    assert record["training"]["continued_from"] == [2]
    assert (str(path) in caplog.text) == (damage is not None)


@pytest.mark.parametrize("what", ["trial", "torch", "all"])
def test_a_foreign_checkpoint_is_not_taken_up(plan: Plan, what: str) -> None:
    """Of another trial, another version of torch, or no checkpoint: from the start."""
    plan = checkpointed(plan)
    path = stopped(plan, 1)
    state = torch.load(path, weights_only=True)
    torch.save([1] if what == "all" else {**state, what: "another"}, path)
    epochs, record = run(plan)
    assert len(epochs) == 4
    assert "continued_from" not in record["training"]


def test_a_failure_that_is_tried_again_keeps_its_checkpoint(plan: Plan) -> None:
    """A machine's failure leaves the checkpoint to the next attempt; a candidate's removes it."""
    plan = checkpointed(plan)
    path = stopped(plan, 1)
    _, failed = run(dataclasses.replace(plan, data_identity="0" * 16))
    assert failed["failure"] == "infrastructure"
    assert path.exists()
    _, failed = run(dataclasses.replace(plan, bands=Bands(radii=(400.0,))))
    assert failed["failure"] == "code"
    assert not path.exists()


SPACE = """
study: killed
model: {widths: [4, 8], depths: [1, 1], kernel_size: 3}
train: {epochs: 10, batch_size: 16, checkpoint_every: 1, augment: random_resized_crop, mixup: 0.5}
data: {name: spectral, classes: 3, train_images: 240, evaluation_images: 30}
objectives: {top1: maximize}
search: {method: grid}
"""


def test_a_run_that_is_killed_ends_as_one_that_is_not(
    gmsearch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` in the middle of a trial, the same command again: equal digests of the weights."""
    digests = []
    for kill in (True, False):
        folder = tmp_path / str(kill)
        folder.mkdir()
        (folder / "space.yaml").write_text(SPACE)
        monkeypatch.chdir(folder)
        arguments = ["run", "space.yaml", "--engine", "serial"]
        if kill:
            process = subprocess.Popen(
                [sys.executable, "-m", "gmsearch", *arguments], stderr=subprocess.DEVNULL
            )
            while not list(folder.glob("studies/killed/checkpoints/*.previous.pt")):
                assert process.poll() is None
                time.sleep(0.002)
            process.kill()
            process.wait()
        assert gmsearch(*arguments).returncode == 0
        (trial,) = ledger_read(folder / "studies" / "killed").trials.values()
        assert ("continued_from" in trial.training) == kill
        digests.append(trial.training["weights_sha256"])
    assert digests[0] == digests[1]


def test_a_timing_says_how_it_was_measured(plan: Plan) -> None:
    """A timing's record holds the interval, the ratio to the reference and the protocol."""
    _, record = run(timing_of(plan, "throughput_ips@b2"))
    metrics = record["metrics"]
    low, middle, high = (metrics[f"latency_ms@b2{end}"] for end in (".low", "", ".high"))
    assert low <= middle <= high
    assert metrics["throughput_ips@b2"] == pytest.approx(2000 / middle)
    assert "latency_ms" not in metrics
    assert record["protocol"]["resolution"] == 32
    assert record["protocol"]["folded_batch_norms"] > 0
    assert isinstance(record["disturbed"], bool)
