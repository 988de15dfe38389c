"""Records: one class per kind of ledger line, and lines of other releases."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from gmsearch.records import (
    RECORDS,
    AskRecord,
    Failure,
    MeasureRecord,
    OtherRecord,
    State,
    TimingRecord,
    TrialRecord,
    record_from_json,
)

TRIAL: dict[str, Any] = {
    "record": "trial",
    "key": "k0",
    "state": "COMPLETE",
    "arm": "a0",
    "digest": "d0",
    "seed": 0,
    "params": {"gate.product": "self"},
    "candidate": {"family": "gmnet", "widths": [8, 16]},
    "recipe": {"epochs": 1},
    "metrics": {"top1": 1 / 3, "flops": 12345678901},
    "protocol": {"dc": "drop"},
    "training": {"dtype": "float32"},
    "seconds": 0.25,
    "attempt": 1,
    "run": 1,
}
ENVIRONMENT = {"packages": {"torch": "2"}, "cpus": 2, "nvidia_driver": None, "command": ["x"]}

# A line of each kind as release 0.1 wrote it, keys in their order.
LINES: list[dict[str, Any]] = [
    {
        "record": "study",
        "schema": 1,
        "study": "s",
        "space": "x",
        "gmsearch": "0.1",
        "created": "2026-11-26T00:00:00+00:00",
    },
    {
        "record": "run",
        "run": 1,
        "started": "2026-11-26T00:00:00+00:00",
        "engine": "ray",
        "space": "x",
        "data": "y",
        "images": {
            "identity_of": "parameters",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.2, 0.2, 0.2],
            "resolution": 32,
            "evaluation": 30,
            "holdout": 0,
        },
        "device": {"kind": "cpu", "name": "A processor"},
        "threads": 1,
        **ENVIRONMENT,
    },
    {"record": "ask", "number": 0, "params": {"a": 0.1}, "arm": "a0", "attributes": {}},
    {
        "record": "ask",
        "number": 1,
        "params": {},
        "arm": "a1",
        "attributes": {"g": 0},
        "uncounted": ["mean"],
    },
    {
        "record": "infeasible",
        "number": 1,
        "arm": "a1",
        "digest": "d1",
        "params": {},
        "metrics": {"flops": 7.0},
        "violations": {"flops": 2.0},
        "run": 1,
    },
    {
        "record": "timing",
        "key": "t",
        "request": "r",
        "digest": "d0",
        "device": "cpu",
        "seconds": 1.5,
        "attempt": 1,
        "run": 1,
        "metrics": {"latency_ms": 1.0},
        "disturbed": False,
        "protocol": {"threads": 1},
    },
    {
        "record": "timing",
        "key": "t",
        "request": "r",
        "digest": "d0",
        "device": "cpu",
        "seconds": 1.5,
        "attempt": 1,
        "run": 1,
        "failure": "oom",
        "error": "no memory",
    },
    {**TRIAL, "record": "tuning"},
    {
        "record": "tuned",
        "arm": "a0",
        "metric": "holdout.top1",
        "seed": 7,
        "tried": [{"values": {"lr": 0.1}, "mean": None, "failed": 1}],
        "chosen": None,
        "edges": {},
        "run": 1,
    },
    TRIAL,
    {**TRIAL, "state": "FAILED", "metrics": {}, "failure": "diverged", "error": "epoch 1, step 2"},
    {
        "record": "measure",
        "key": "k0",
        "request": "r",
        "split": "evaluation",
        "protocol": {"dc": "drop"},
        "device": "cpu",
        "seconds": 0.5,
        "attempt": 1,
        "run": 2,
        "metrics": {"high@6": 0.5},
    },
]


def ids(line: dict[str, Any]) -> str:
    """Return the name of a line in the list of tests."""
    return str(line["record"])


def test_every_kind_has_a_line() -> None:
    """The lines tested are of all kinds there are."""
    assert {line["record"] for line in LINES} == set(RECORDS)


@pytest.mark.parametrize("line", LINES, ids=ids)
def test_a_line_is_written_as_it_was(line: dict[str, Any]) -> None:
    """The same keys in the same order, the same values; so the same bytes."""
    record = record_from_json(json.loads(json.dumps(line)))
    assert type(record) is RECORDS[line["record"]]
    assert json.dumps(record.to_json()) == json.dumps(line)
    assert record.extra == (ENVIRONMENT if line["record"] == "run" else {})


@pytest.mark.parametrize("line", LINES, ids=ids)
def test_a_later_release_may_add_to_a_line(line: dict[str, Any]) -> None:
    """A key that is not known is kept, and written behind the others."""
    record = record_from_json({"tomorrow": {"n": 1}, **line})
    assert record.extra["tomorrow"] == {"n": 1}
    assert record.to_json() == {**line, "tomorrow": {"n": 1}}
    assert next(iter(record.to_json())) == "record"


def test_a_later_release_may_add_a_kind() -> None:
    """A line of an unknown kind is kept as it is."""
    line = {"record": "weather", "sun": True}
    record = record_from_json(line)
    assert isinstance(record, OtherRecord)
    assert record.to_json() == line


@pytest.mark.parametrize(
    ("line", "raised"),
    [
        ({"key": "k"}, KeyError),
        ({"record": "trial", "key": "k"}, TypeError),
        ({**TRIAL, "state": "WON"}, ValueError),
        ({**TRIAL, "failure": "bad luck"}, ValueError),
    ],
)
def test_what_is_no_record_is_refused(line: dict[str, Any], raised: type[Exception]) -> None:
    """A missing key, or a value that its field cannot take."""
    with pytest.raises(raised):
        record_from_json(line)


def test_what_has_its_default_is_left_out() -> None:
    """A record without the fields that release 0.1 did not have is a line of release 0.1."""
    trial = TrialRecord.from_json(TRIAL)
    named = dataclasses.replace(trial, device_name="A processor")
    assert "device_name" not in trial.to_json()
    assert named.to_json() == {**TRIAL, "device_name": "A processor"}
    assert AskRecord(number=0, params={}).to_json() == {
        "record": "ask",
        "number": 0,
        "params": {},
        "attributes": {},
    }


@pytest.mark.parametrize("failure", [None, *Failure])
def test_only_the_machines_failures_are_not_final(failure: Failure | None) -> None:
    """Timings, evaluations and trials agree; a PRUNED trial is final."""
    retried = failure in (Failure.OOM, Failure.HANG, Failure.INFRASTRUCTURE)
    trial = dataclasses.replace(TrialRecord.from_json(TRIAL), failure=failure)
    timing = TimingRecord(key="t", failure=failure)
    measure = MeasureRecord(key="k", request="r", split="holdout", protocol={}, failure=failure)
    assert {record.final for record in (trial, timing, measure)} == {not retried}
    pruned = dataclasses.replace(trial, state=State.PRUNED, failure=None)
    assert pruned.final
