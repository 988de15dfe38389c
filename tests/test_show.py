"""`show` and `list`: states of studies, filters, short keys, one trial and how to rebuild it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_studies import edit

from gmsearch.ledger import owner_of, read_study
from gmsearch.models import build
from gmsearch.networks import candidate_from
from gmsearch.status.state import study_state
from gmsearch.status.summary import summary_of

Run = Callable[..., Any]
TINY = Path("studies/tiny")


def test_the_trials_of_a_study_have_short_keys_that_work(gmsearch: Run, finished: Path) -> None:
    """A line a trial: key, arm, seed, state, objectives, and what differs; then the state."""
    heading, *lines, state = gmsearch("show", "tiny").stdout.splitlines()
    assert heading.split() == (
        ["trial", "arm", "seed", "state", "seconds", "top1", "flops", "product", "activation"]
    )
    assert len(lines) == 8
    assert state == "tiny: 8 trials, finished; `gmsearch show tiny TRIAL`"
    for line in lines:
        key, arm, seed, *_ = line.split()
        assert len(key) == 8
        one = gmsearch("show", "tiny", key).stdout
        assert f"trial      {key}" in one
        assert f"seed {seed}" in one
        assert f"arm        {arm} " in one
        assert gmsearch("show", "tiny", f"t-{key}").stdout == one, "as in a CSV file"


def test_trials_are_filtered_and_sorted(gmsearch: Run, finished: Path) -> None:
    """By state, by a metric best first, by time; so many; as JSON the same ones."""
    records = read_study(TINY).records
    best = sorted(records.trials.values(), key=lambda t: -t.metrics["top1"])[:3]
    shown = gmsearch("show", "tiny", "--sort", "top1", "--limit", "3").stdout.splitlines()[1:-1]
    values = [float(line.split()[5]) for line in shown]
    assert values == pytest.approx([trial.metrics["top1"] for trial in best], abs=1e-4)
    trees = json.loads(gmsearch("show", "tiny", "--sort", "flops", "--json").stdout)
    flops = [tree["metrics"]["flops"] for tree in trees]
    assert (len(flops), flops) == (8, sorted(flops))
    assert json.loads(gmsearch("show", "tiny", "--state", "failed", "--json").stdout) == []
    for words, reason in (
        (
            ("--state", "lost"),
            "--state: expected one of COMPLETE, PRUNED, INFEASIBLE, FAILED",
        ),
        (("--sort", "top2"), "--sort: no trial has the metric 'top2'; did you mean"),
        ((best[0].key, "--limit", "2"), "--state, --sort and --limit are for all trials"),
    ):
        done = gmsearch("show", "tiny", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(reason)


def test_a_failed_trial_says_why(gmsearch: Run, tiny_space: Path) -> None:
    """In the list of trials and in its own lines."""
    edit(tiny_space, ("lr: 3e-3", "lr: 1e9"), ("seeds: [0, 1]", "seeds: [0]"))
    gmsearch("run", "tiny.yaml", "--engine", "serial")
    line = gmsearch("show", "tiny", "--state", "FAILED").stdout.splitlines()[1]
    assert "[diverged: loss is " in line
    one = gmsearch("show", "tiny", line.split()[0]).stdout
    assert "ended      FAILED (diverged): loss is " in one


def test_one_trial_fits_a_screen_and_can_be_rebuilt(gmsearch: Run, finished: Path) -> None:
    """The Python that is printed builds the network whose weights were kept."""
    trial = list(read_study(TINY).records.trials.values())[-1]
    done = gmsearch("show", "tiny", trial.key)
    lines = done.stdout.splitlines()
    assert len(lines) <= 28
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    for name in ("candidate", "recipe", "ended", "result", "curve", "cost", "device", "weights"):
        assert name in names
    assert "against the baseline, same seed" in done.stdout
    code = "\n".join(line.strip() for line in lines[names.index("rebuild") + 2 :])
    room: dict[str, Any] = {}
    exec(code[code.index("from pathlib") :], room)  # noqa: S102 - what the command printed
    ours = build(candidate_from(trial.candidate), num_classes=3, seed=trial.seed)
    assert room["model"].state_dict().keys() == ours.state_dict().keys()
    pairs = zip(room["model"].parameters(), ours.parameters(), strict=True)
    assert any((one != other).any() for one, other in pairs)
    assert json.loads(gmsearch("show", "tiny", trial.key, "--json").stdout)["key"] == trial.key


def test_a_list_has_the_last_study_first(gmsearch: Run, finished: Path) -> None:
    """State, best, time and what it is about, from a summary that follows the ledger."""
    heading, line = gmsearch("list").stdout.splitlines()
    assert heading.split() == ["study", "state", "best", "trained", "last", "start", "about"]
    assert line.startswith("tiny   finished 8  top1 ")
    (tree,) = json.loads(gmsearch("list", "--json").stdout)
    assert (tree["state"]["state"], tree["state"]["done"], tree["owner"]) == ("finished", 8, None)
    kept = (TINY / "summary.json").read_bytes()
    (TINY / "summary.json").unlink()
    assert gmsearch("list").stdout.splitlines()[1] == line
    assert (TINY / "summary.json").read_bytes() == kept
    (TINY / "summary.json").write_text("[" * 99_999, encoding="utf-8")
    assert gmsearch("list").stdout.splitlines()[1] == line
    Path("studies/broken").mkdir()
    Path("studies/broken/trials.jsonl").write_text("{", encoding="utf-8")
    *_, last = gmsearch("list").stdout.splitlines()
    assert last.startswith("broken cannot be read: ")


def test_more_seeds_make_a_study_unfinished(gmsearch: Run, finished: Path) -> None:
    """What a kept summary says holds only for the ledger that it was made from."""
    text = (TINY / "space.yaml").read_text(encoding="utf-8")
    (TINY / "space.yaml").write_text(text.replace("[0, 1]", "[0, 1, 2]"), encoding="utf-8")
    state = study_state(read_study(TINY))
    assert (state.state, state.done, state.total) == ("interrupted", 8, 12)


@pytest.mark.slow
def test_a_study_knows_who_runs_it(gmsearch: Run, tiny_space: Path) -> None:
    """Running while its driver lives, interrupted once it is killed; reports say so first."""
    edit(tiny_space, ("epochs: 2", "epochs: 20"), ("seeds: [0, 1]", "seeds: 50"))
    command = [sys.executable, "-P", "-m", "gmsearch", "run", "tiny.yaml", "--engine", "serial"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and not _trials():
            time.sleep(0.1)
        owner = owner_of(TINY)
        assert owner is not None
        assert (owner.pid, owner.since is not None) == (process.pid, True)
        running = summary_of(TINY).state
        assert (running.state, running.total) == ("running", 200)
        assert not (TINY / "summary.json").exists(), "nothing is kept of a study that runs"
        assert "running " in gmsearch("list").stdout
        printed = gmsearch("report", "tiny").stdout
        assert f"of 200 trials, running since {owner.since.astimezone():%H:%M}" in printed
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (TINY / "owner.json").exists()
    assert owner_of(TINY) is None
    state = summary_of(TINY).state
    assert (state.state, state.owner) == ("interrupted", None)
    assert "Preliminary: " in gmsearch("report", "tiny").stdout
    os.utime(TINY / "trials.jsonl")
    assert summary_of(TINY).state == state


def _trials() -> int:
    try:
        text = (TINY / "trials.jsonl").read_text(encoding="utf-8")
    except OSError:
        return 0
    return text.count('"record":"trial"')
