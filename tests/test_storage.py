"""A full disk or a folder that goes is not the trial's fault: nothing is lost for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_studies import edit

from gmsearch.ledger import read_records
from gmsearch.records import State

pytestmark = pytest.mark.slow


def _mount(*arguments: str) -> bool:
    command = shutil.which(arguments[0])
    if command is None:
        return False
    done = subprocess.run([command, *arguments[1:]], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(tiny_space: Path) -> Iterator[Path]:
    """Let `studies` be a disk of 96 kB, which holds the weights of a few trials."""
    studies = tiny_space.parent / "studies"
    studies.mkdir()
    if os.geteuid() != 0 or not _mount(
        "mount", "-t", "tmpfs", "-o", "size=96k", "x", str(studies)
    ):
        pytest.skip("needs the right to mount a file system")
    try:
        yield studies
    finally:
        _mount("umount", "-l", str(studies))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tiny space in a process of its own."""
    command = [sys.executable, "-m", "gmsearch", "run", "tiny.yaml", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def test_a_full_disk_ends_the_run_and_costs_nothing(small_disk: Path) -> None:
    """One line and exit code 1; with room the run ends, all trials at the first attempt.

    `nox -s faults` has it of both engines, at several sizes.
    """
    full = run("--engine", "serial")
    assert full.returncode == 1, full.stderr
    last = full.stderr.strip().splitlines()[-1]
    assert "cannot be written: No space left on device" in last
    assert "Traceback" not in full.stderr
    assert {t.state for t in read_records(small_disk / "tiny").trials.values()} <= {State.COMPLETE}
    assert _mount("mount", "-o", "remount,size=64m", str(small_disk))
    done = run("--engine", "serial")
    assert done.returncode == 0, done.stderr
    trials = read_records(small_disk / "tiny").trials.values()
    assert len(trials) == 8
    assert {(trial.state, trial.attempt) for trial in trials} == {(State.COMPLETE, 1)}


def test_a_folder_that_is_removed_ends_the_run(tiny_space: Path) -> None:
    """Whatever is removed under a running study, it ends in one line and pretends nothing."""
    edit(tiny_space, ("seeds: [0, 1]", "seeds: 500"))
    command = [sys.executable, "-m", "gmsearch", "run", "tiny.yaml", "--engine", "serial"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    ledger = tiny_space.parent / "studies" / "tiny" / "trials.jsonl"
    end = time.monotonic() + 120
    while not ledger.exists() or '"trial"' not in ledger.read_text(encoding="utf-8"):
        assert time.monotonic() < end
        time.sleep(0.05)
    shutil.rmtree(ledger.parent)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert "cannot be written" in last or "removed or replaced" in last
    assert "Traceback" not in errors
    assert not ledger.exists()
