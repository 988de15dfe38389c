"""Both engines through the command line: equal records, worker deaths, kill -9, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from gmsearch.ledger import read
from gmsearch.trial import State

MEASURED = {"seconds", "run"}

pytestmark = [pytest.mark.ray, pytest.mark.slow]

# Trials of about two seconds each, so that a signal meets one that runs.
LONGER = ("epochs: 2", "epochs: 40")


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace texts of the space file, each of which must be there."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the command line in the current folder."""
    command = [sys.executable, "-m", "gmsearch", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and what was written to stderr."""
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def trials(study: str) -> list[dict[str, Any]]:
    """Return the trials of a study without measured times, ordered by key."""
    found = [trial.to_json() for trial in read(Path("studies") / study).trials.values()]
    kept = [{k: v for k, v in tree.items() if k not in MEASURED} for tree in found]
    return sorted(kept, key=lambda tree: str(tree["key"]))


def attempts(study: str) -> Counter[str]:
    """Return how many trial records the ledger holds per key."""
    lines = (Path("studies") / study / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return Counter(r["key"] for r in map(json.loads, lines) if r["record"] == "trial")


def wait_for_trials(study: str, n: int, process: subprocess.Popen[str]) -> None:
    """Wait until the ledger holds `n` trials."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        ledger = Path("studies") / study / "trials.jsonl"
        if ledger.exists() and sum(attempts(study).values()) >= n:
            return
        time.sleep(0.05)
    pytest.fail(f"no {n} trials in time")


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes in which Ray runs our trials."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [p for p in children if "ray::" in " ".join(p.cmdline()) and "IDLE" not in p.name()]


@pytest.fixture
def serial(tiny_space: Path) -> list[dict[str, Any]]:
    """Run the tiny space serially, undisturbed; return its trials."""
    edit(tiny_space, LONGER)
    code, errors = finish(start("run", "tiny.yaml", "--engine", "serial"))
    assert code == 0, errors
    found = trials("tiny")
    Path("studies/tiny").rename("studies/serial")
    return found


def test_both_engines_give_equal_records(serial: list[dict[str, Any]]) -> None:
    """All that is not a measured time is equal to the last bit, on actors used several times."""
    code, errors = finish(start("run", "tiny.yaml"))
    assert code == 0, errors
    assert trials("tiny") == serial
    assert "ray" not in errors.lower().replace("gmsearch", "")


def test_kill_9_of_the_driver_loses_nothing(
    serial: list[dict[str, Any]],
) -> None:
    """Killed twice and started again, a study has every trial once and the same numbers."""
    for n in (2, 4):
        process = start("run", "tiny.yaml")
        wait_for_trials("tiny", n, process)
        process.kill()
        process.communicate(timeout=30)
    code, errors = finish(start("run", "tiny.yaml"))
    assert code == 0, errors
    assert trials("tiny") == serial
    assert set(attempts("tiny").values()) == {1}


def test_a_killed_worker_costs_one_attempt(serial: list[dict[str, Any]]) -> None:
    """A worker killed mid-trial is an infrastructure failure; the trial is run again."""
    process = start("run", "tiny.yaml")
    wait_for_trials("tiny", 1, process)
    for worker in workers_of(process):
        worker.kill()
    code, errors = finish(process)
    assert code == 0, errors
    again = trials("tiny")
    assert [{**t, "attempt": 1} for t in again] == serial
    assert max(t["attempt"] for t in again) == 2
    assert "infrastructure" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("engine", ["ray", "serial"])
def test_an_interrupt_ends_soon_keeps_what_finished_and_says_how_to_go_on(
    tiny_space: Path, number: signal.Signals, engine: str
) -> None:
    """Exit code 130 within seconds, the resuming command, finished trials kept, nobody left."""
    edit(tiny_space, LONGER)
    process = start("run", "tiny.yaml", "--engine", engine)
    wait_for_trials("tiny", 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    begin = time.monotonic()
    os.kill(process.pid, number)
    code, errors = finish(process)
    assert code == 130
    assert time.monotonic() - begin < 15
    assert f"gmsearch run tiny.yaml --engine {engine}" in errors
    assert "Traceback" not in errors
    kept = trials("tiny")
    assert len(kept) >= 2
    assert all(trial["state"] == State.COMPLETE for trial in kept)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
