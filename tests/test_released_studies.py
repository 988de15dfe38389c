"""Studies of released versions: read, listed, shown, re-evaluated and resumed.

That they are reported with the same numbers is tested in `report/test_released.py`.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmsearch.ledger import Ledger, read_study
from gmsearch.records import record_from_json

RELEASED = Path(__file__).parents[2] / "shared" / "studies" / "v0.1"
NAMES = ("gate_ablation", "search_small", "tuned_small")
Run = Callable[..., Any]
"""Fixture that runs the command line in this process."""

pytestmark = pytest.mark.skipif(
    not RELEASED.is_dir(), reason="the studies of released versions are not here"
)


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the studies into a folder of their own, which becomes the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in NAMES:
        shutil.copytree(RELEASED / name, Path("studies") / name)
    return Path("studies")


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the raw lines of a ledger."""
    return [json.loads(line) for line in (folder / "trials.jsonl").read_bytes().splitlines()]


def kinds(folder: Path) -> Counter[str]:
    """Return how many lines of each kind a ledger has."""
    return Counter(line["record"] for line in lines(folder))


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_written_again_to_the_byte(name: str) -> None:
    """Each record has a field for all it holds, and writes the line it was read from."""
    for line in (RELEASED / name / "trials.jsonl").read_bytes().splitlines():
        record = record_from_json(json.loads(line))
        assert json.dumps(record.to_json(), separators=(",", ":")).encode() == line
        if record.kind != "run":  # whose environment is free-form
            assert record.extra == {}


def test_opening_changes_nothing(studies: Path) -> None:
    """A driver opens the ledger, finds every record, and appends none."""
    for name in NAMES:
        before = (studies / name / "trials.jsonl").read_bytes()
        with Ledger.open(studies / name, name, "0" * 16) as ledger:
            held = ledger.records
        assert (studies / name / "trials.jsonl").read_bytes() == before
        study, counts = read_study(studies / name), kinds(studies / name)
        assert study.records == held
        assert study.space.study == name
        assert len(held.trials) == counts["trial"]
        assert len(held.tuning) == counts["tuning"]
        assert len(held.timings) == counts["timing"]
        assert sum(map(len, held.measures.values())) == counts["measure"]


def test_they_are_listed_and_shown(studies: Path, gmsearch: Run) -> None:
    """`list` names every study with its states; `show` every trial, and one in full."""
    listed = gmsearch("list").stdout
    assert all(name in listed for name in NAMES)
    assert "interrupted 24 of 56 " in listed
    assert "finished 14, 1 failed " in listed
    for name in NAMES:
        keys = [line["key"] for line in lines(studies / name) if line["record"] == "trial"]
        shown = gmsearch("show", name).stdout
        assert all(key[:8] in shown for key in keys)
        assert "versions   Python 3" in gmsearch("show", name, keys[0]).stdout


def test_their_weights_are_evaluated_on_other_bands(studies: Path, gmsearch: Run) -> None:
    """`measure` finds each COMPLETE trial's weights, and adds the bands asked for."""
    assert gmsearch("measure", "tuned_small", "--radii", "6").returncode == 0
    study = read_study(studies / "tuned_small")
    for trial in study.records.trials.values():
        assert {"low@6", "high@6"} <= set(study.metrics(trial))
        assert study.metrics(trial).items() >= trial.metrics.items()
    assert all(record.device_name for (record,) in study.records.measures.values())


def test_a_finished_one_trains_nothing(studies: Path, gmsearch: Run) -> None:
    """Resuming a study that is complete leaves its ledger to the byte."""
    folder = studies / "search_small"
    before = (folder / "trials.jsonl").read_bytes()
    result = gmsearch("run", str(folder / "space.yaml"), "--engine", "serial")
    assert "nothing to do; all trials are finished" in result.stderr
    assert result.returncode == 1, "one of its trials diverged"
    assert (folder / "trials.jsonl").read_bytes() == before


def test_an_interrupted_one_trains_what_is_missing(studies: Path, gmsearch: Run) -> None:
    """Of a study without its last trial, that trial is run, and nothing else is trained."""
    folder = studies / "tuned_small"
    whole = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    missing = json.loads(whole[-1])
    assert missing["record"] == "trial"
    (folder / "trials.jsonl").write_bytes(b"".join(whole[:-1]))
    result = gmsearch("run", str(folder / "space.yaml"), "--engine", "serial")
    assert result.returncode == 0, result.stderr
    added = lines(folder)[len(whole) - 1 :]
    trained = [line for line in added if line["record"] in ("trial", "tuning")]
    assert [(line["record"], line["key"]) for line in trained] == [("trial", missing["key"])]
    # Another machine times the candidates on its own device first.
    assert {line["record"] for line in added} <= {"run", "timing", "trial"}
    assert set(missing["metrics"]) == set(trained[0]["metrics"])
    assert missing["candidate"] == trained[0]["candidate"]
    assert missing["recipe"] == trained[0]["recipe"]
