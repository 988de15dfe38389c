"""What a reader sees of values tuned and costs matched."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmsearch.plain import plain
from gmsearch.records import State, TrialRecord
from gmsearch.report.tuning import tuning_notes, tuning_tables

MADE = (
    "search:",
    "tune: {lr: [1e-3, 3e-3, 1e-2]}\nmatch: {flops: baseline, tolerance: 0.02}\nsearch:",
)


def trained(study: Any, params: str, lr: float, widths: list[int], flops: float) -> TrialRecord:
    """Return a trial as it was trained: another rate, another candidate than asked for."""
    product, activation = params.split()
    assignment = {"gate.product": product, "gate.activation": activation}
    arm = study.space.arm(assignment)
    tuned = dataclasses.replace(arm.recipe, lr=lr)
    scaled = dataclasses.replace(arm.candidate, widths=tuple(widths))
    arm = dataclasses.replace(arm, recipe=tuned, candidate=scaled)
    return TrialRecord(
        key=f"{params}".replace(" ", "").ljust(16, "0"),
        state=State.COMPLETE,
        arm=arm.digest,
        digest=arm.candidate.digest,
        seed=0,
        params=assignment,
        candidate=plain(arm.candidate),
        recipe=plain(arm.recipe),
        metrics={"top1": 0.5, "flops": flops, "params": 1000.0},
    )


def made(make_study: Callable[..., Any]) -> Any:
    """Return a study of two arms, one infeasible, one never trained."""
    study = make_study(MADE)
    rows = [("none relu6", 3e-3, [16, 32, 64], 1e6), ("self relu", 1e-2, [15, 31, 62], 0.985e6)]
    for params, *rest in rows:
        study.add(trained(study, params, *rest).to_json())
    tuning = trained(study, "self relu", 1e-3, [15, 31, 62], 0.985e6)
    tuning = dataclasses.replace(tuning, key="0" * 16, seed=2**32 - 1)
    assert TrialRecord.from_json(tuning.to_json()) == tuning
    study.add({**tuning.to_json(), "record": "tuning"})
    study.add_infeasible("self gelu", "match.flops")
    tried = [{"values": {"lr": lr}, "mean": None, "failed": 1} for lr in (1e-3, 3e-3, 1e-2)]
    choice = {"arm": "f" * 16, "metric": "holdout.top1", "seed": 0, "chosen": None, "edges": {}}
    study.add({"record": "tuned", **choice, "tried": tried})
    return study


def test_every_arm_shows_its_values_and_its_share_of_the_cost(
    make_study: Callable[..., Any],
) -> None:
    """The rate, with its end of the range; the widths trained; the flops beside the baseline."""
    facts = made(make_study).facts
    (table,) = tuning_tables(facts)
    assert table.heading == ("product · activation", "lr", "widths", "flops / baseline")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["none · relu6", "0.003", "16-32-64", "1.0000"],
        ["self · relu", "0.01 (highest)", "15-31-62", "0.9850"],
    ]
    assert [arm.baseline for arm in facts.arms] == [True, False]
    notes = " ".join(tuning_notes(facts))
    assert "lr among 0.001, 0.003, 0.01" in notes
    assert "The tuned lr is the highest value tried" in notes
    assert "for: product=self activation=relu." in notes
    assert "from 0.9850 to 1.0000" in notes


def test_runs_that_choose_are_in_no_number(make_study: Callable[..., Any]) -> None:
    """They are no trials of any arm; what they could not choose is said."""
    study = made(make_study)
    facts = study.facts
    assert [set(arm.trials) for arm in facts.arms] == [{0}, {0}]
    told = {(o.state, o.count, o.of): o.reason for o in facts.endings}
    assert told["COMPLETE", 2, "trials"] == ""
    assert told["FAILED", 1, "arms"] == "training failed with every value of lr"
    why = "no widths match the baseline's flops before training"
    assert told["INFEASIBLE", 1, "arms"] == why


def test_the_files_hold_both(make_study: Callable[..., Any]) -> None:
    """The CSV in columns of their own, Markdown as a table; nothing where nothing was made."""
    _, files = made(make_study).report()
    rows = list(csv.DictReader(io.StringIO(_text(files["ablation.csv"]))))
    assert {(row["train.lr"], row["matched"]) for row in rows} == {
        ("0.003", "16-32-64"),
        ("0.01", "15-31-62"),
    }
    assert "train.lr" in _text(files["pareto.csv"]).splitlines()[0]
    assert "## tuned values and matched cost" in _text(files["ablation.md"])
    plain_study = make_study()
    plain_study.add_trial("none relu6", 0)
    _, files = plain_study.report()
    assert "train.lr" not in _text(files["ablation.csv"])
    assert "tuned values" not in _text(files["ablation.md"])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
