"""A scheduler stops trials: both engines obey, and the trial is PRUNED once and for all."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_studies import Log, edit

from gmsearch import runner
from gmsearch.driver import inspect_run, open_study
from gmsearch.engines import serial
from gmsearch.errors import InputError
from gmsearch.experiment import Decision, Progress, TrialPlan
from gmsearch.ledger import STUDIES, Study, read_history, read_study
from gmsearch.records import State, TrialRecord
from gmsearch.spacefile import load_space

STOP_AT = 2


class EverySecond:
    """A scheduler that stops some trials, by their keys, after their second epoch."""

    def decide(self, progress: Progress) -> Decision:
        """Stop where the key is odd."""
        odd = int(progress.key, 16) % 2 == 1
        return "stop" if odd and progress.epoch == STOP_AT else "continue"


@pytest.fixture
def longer(tiny_space: Path) -> Path:
    """Give the tiny space four epochs and two more objectives."""
    edit(
        tiny_space,
        ("epochs: 2", "epochs: 4"),
        ("{top1: maximize,", "{top1: maximize, loss: minimize, high@4: maximize,"),
        ("bands: {radii: [4]}", "bands: {radii: [4], every: 3, curves: evaluation}"),
    )
    return tiny_space


def run_serially(path: Path) -> tuple[Study, Log]:
    """Run a space to its end under the scheduler."""
    space, log = load_space(path), Log()
    context = inspect_run(space, path)
    with open_study(space, context, log, engine="serial", scheduler=EverySecond()) as driver:
        serial.run(driver)
        assert driver.finished
    return read_study(STUDIES / space.study), log


def pruned_and_complete(study: Study) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return the trials stopped and the others; there are some of both."""
    trials = study.records.trials.values()
    pruned = [trial for trial in trials if int(trial.key, 16) % 2 == 1]
    complete = [trial for trial in trials if trial not in pruned]
    assert pruned
    assert complete
    return pruned, complete


def test_a_stopped_trial_is_pruned(longer: Path) -> None:
    """It ends within the epoch, keeps its history and its metrics, and is not run again."""
    study, log = run_serially(longer)
    pruned, complete = pruned_and_complete(study)
    assert {trial.state for trial in pruned} == {State.PRUNED}
    assert {trial.state for trial in complete} == {State.COMPLETE}
    epochs = Counter(progress.key for progress in log.epochs)
    for trial in pruned:
        assert epochs[trial.key] == trial.training["epochs"] == STOP_AT
        assert trial.metrics["flops"] > 0
        assert "top1" not in trial.metrics
        history = study.history(trial)
        assert history is not None
        assert history["epoch"] == [1, 2]
        assert trial.metrics["holdout.loss"] == history["holdout.loss"][-1]
        assert (trial.attempt, trial.failure, trial.final) == (1, None, True)
    weights = {path.name.partition(".")[0] for path in (study.folder / "weights").iterdir()}
    assert weights == {trial.key for trial in complete}
    assert run_serially(longer)[1].plans == []


def test_a_pruned_trial_is_in_no_front_and_is_told_so(
    longer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sampler learns that its arm was pruned, without values; reports leave it out."""
    from gmsearch.report.collect import collect
    from gmsearch.search import Outcome, modelled

    told: list[Outcome] = []
    tell = modelled.Modelled.tell

    def keep(self: modelled.Modelled, outcome: Outcome) -> None:
        told.append(outcome)
        tell(self, outcome)

    monkeypatch.setattr(modelled.Modelled, "tell", keep)
    edit(
        longer,
        ("method: grid", "method: nsga2, population: 2, candidates: 4"),
        ("seeds: [0, 1]", "seeds: [0]"),
    )
    study, _ = run_serially(longer)
    pruned, complete = pruned_and_complete(study)
    arms = {ask.number: ask.arm for ask in study.records.asks}
    states = {arms[outcome.number]: outcome.state for outcome in told}
    assert {states[trial.arm] for trial in pruned} == {"pruned"}
    assert {states[trial.arm] for trial in complete} == {"complete"}
    assert all(outcome.values is None for outcome in told if outcome.state == "pruned")
    shown = {key for arm in collect(study).arms for key in arm.keys.values()}
    assert shown == {trial.key for trial in complete}


def test_only_a_scheduler_puts_objectives_on_the_holdout_into_histories(longer: Path) -> None:
    """Every trained objective, after every epoch; the other columns are those without one."""
    watched, _ = run_serially(longer)
    edit(longer, ("study: tiny", "study: alone"))
    space, log = load_space(longer), Log()
    with open_study(space, inspect_run(space, longer), log, engine="serial") as driver:
        serial.run(driver)
    alone = read_study(STUDIES / "alone")
    _, complete = pruned_and_complete(watched)
    for trial in complete:
        with_scheduler, without = watched.history(trial), alone.history(trial)
        assert with_scheduler is not None
        assert without is not None
        held = {name for name in with_scheduler if name.startswith("holdout.")}
        assert held == {"holdout.top1", "holdout.loss", "holdout.high@4"}
        assert not {name for name in without if name.startswith("holdout.")}
        assert without == {k: v for k, v in with_scheduler.items() if k not in held}
        for name in held:
            assert len(with_scheduler[name]) == 4
            assert with_scheduler[name][-1] == trial.metrics[name]
        same = alone.records.trials[trial.key]
        assert same.metrics == trial.metrics
        assert same.training == trial.training


def test_a_stop_after_the_last_epoch_comes_too_late(longer: Path) -> None:
    """A trial that has trained to its end is evaluated as any other."""
    space = load_space(longer)
    with open_study(space, inspect_run(space, longer), Log(), engine="serial") as driver:
        plan = driver.next()
        assert isinstance(plan, TrialPlan)
        work = runner.run(dataclasses.replace(plan, watched=("top1",)))
        progress = work.send(None)
        while progress.epoch < progress.epochs:
            progress = work.send("continue")
        with pytest.raises(StopIteration) as end:
            work.send("stop")
    assert end.value.value.state is State.COMPLETE


def test_tunings_are_never_stopped(longer: Path) -> None:
    """A scheduler sees trials alone: training values are chosen at full length."""
    edit(longer, ("search:", "tune: {lr: [1e-3, 1e-2]}\nsearch:"), ("[0, 1]}", "[0]}"))
    study, log = run_serially(longer)
    epochs = Counter(progress.key for progress in log.epochs)
    assert {epochs[key] for key in study.records.tuning} == {4}
    assert {trial.state for trial in study.records.tuning.values()} == {State.COMPLETE}


def test_a_scheduler_needs_a_holdout(longer: Path) -> None:
    """Without holdout images it is refused before anything is run."""
    edit(longer, ("resolution: 32,", "resolution: 32, holdout: 0,"))
    space = load_space(longer)
    context = inspect_run(space, longer)
    with (
        pytest.raises(InputError, match=r"data\.holdout is 0"),
        open_study(space, context, Log(), engine="serial", scheduler=EverySecond()),
    ):
        pass


RAY = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from small_studies import Log
from test_early_stopping import EverySecond
from gmsearch.driver import inspect_run, open_study
from gmsearch.engines import ray
from gmsearch.spacefile import load_space
path = pathlib.Path(sys.argv[2])
space = load_space(path)
context = inspect_run(space, path)
with open_study(space, context, Log(), engine="ray", scheduler=EverySecond()) as driver:
    ray.run(driver, workers=1)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_both_engines_stop_alike(longer: Path) -> None:
    """Ray's workers write the same records and histories as the serial engine, PRUNED or not."""
    edit(longer, ("study: tiny", "study: serial"))
    reference, _ = run_serially(longer)
    edit(longer, ("study: serial", "study: parallel"))
    command = [sys.executable, "-c", RAY, str(Path(__file__).parent), str(longer)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    other = read_study(STUDIES / "parallel")
    assert endings(other) == endings(reference)
    for key in reference.records.trials:
        assert read_history(other.folder, key) == read_history(reference.folder, key)
    lines = (other.folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    keys = [line["key"] for line in map(json.loads, lines) if line["record"] == "trial"]
    assert len(keys) == len(set(keys)) == 8


def endings(study: Study) -> dict[str, Any]:
    """Return the trials by key, without measured times."""
    trials = study.records.trials
    return {key: dataclasses.replace(trials[key], seconds=0) for key in sorted(trials)}
