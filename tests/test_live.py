"""What is shown and logged of a running study."""

from __future__ import annotations

import functools
import io
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from small_studies import Log, edit

from gmsearch.cli.console import Console
from gmsearch.cli.live import ProgressLines, ProgressTable, view_of
from gmsearch.cli.live import log as run_log
from gmsearch.cli.live.words import clipped
from gmsearch.comparable import comparable
from gmsearch.display import MISSING
from gmsearch.driver import open_study
from gmsearch.driver.preflight import inspect_run
from gmsearch.engines import serial
from gmsearch.experiment import Progress, TimingPlan
from gmsearch.ledger import ArmNumbers, Records
from gmsearch.records import AskRecord, State, TrialRecord
from gmsearch.space import Space
from gmsearch.spacefile import load_space
from gmsearch.status.best import best_arm

VALUE = rf"(?:\.\d{{3}}|1\.000|{MISSING}) +"
ROW = re.compile(
    r"#\d s\d [▰▱]{4} \d/4 (?:\d:\d\d left|starting |training |measuring) "
    rf"top1 {VALUE}high@10 {VALUE}\S.*"
)


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is."""
        return True


def console_of(width: int) -> Console:
    """Return a console on a terminal of that width."""
    return Console(file=Terminal(), width=width, force_terminal=True, color_system=None)


def printed(console: Console) -> str:
    """Return what was printed on a console of `console_of`."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Frames(ProgressTable):
    """Keeps what is drawn after every epoch."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.frames: list[list[str]] = []

    def progress(self, progress: Progress) -> None:
        """Keep a frame."""
        super().progress(progress)
        console = console_of(self.console.width)
        console.print(self._drawn())
        self.frames.append(printed(console).splitlines())


def run_with(path: Path, view: ProgressLines) -> ProgressLines:
    """Run a study to its end, one trial after another, under a view."""
    space = view.state.space
    with view, open_study(space, inspect_run(space, path), view, engine="serial") as driver:
        driver.advance()
        serial.run(driver)
    return view


@pytest.mark.parametrize("width", [80, 120])
def test_the_left_columns_are_whole_and_values_are_kept(tiny_space: Path, width: int) -> None:
    """Number, seed, bar, epochs, time and the trained objectives; then as much of the label."""
    edit(
        tiny_space,
        ("radii: [4]", "radii: [4, 10], every: 2"),
        ("{top1: maximize,", "{top1: maximize, high@10: maximize,"),
        ("epochs: 2", "epochs: 4"),
        ("seeds: [0, 1]", "seeds: [0]"),
    )
    view = Frames(load_space(tiny_space), console_of(width))
    run_with(tiny_space, view)
    assert len(view.frames) == 16
    for epoch, frame in enumerate(view.frames):
        study, row, *_ = frame
        assert all(cell_len(line) <= width for line in frame)
        assert f"  {epoch // 4}/4  " in study
        assert ROW.fullmatch(row), row
        assert row.rstrip().endswith(("relu6", "gelu"))
        known = re.findall(r"(?:top1|high@10) (\S+)", row)
        before = re.findall(r"(?:top1|high@10) (\S+)", view.frames[epoch - 1][1])
        assert (MISSING in known) == (epoch % 4 == 0)
        if epoch % 4 == 2:
            assert known == before
    written = re.sub(r"\r|\x1b\[[^A-Za-z]*[A-Za-z]", "", printed(view.console))
    ends = re.findall(r"\d\d:\d\d:\d\d #\d s0 COMPLETE .*", written)
    assert len(ends) == 4
    assert all(cell_len(line.rstrip()) <= width for line in ends)


@given(st.text(), st.integers(0, 40))
def test_a_label_is_cut_in_its_middle(text: str, width: int) -> None:
    """What fits is left alone; else both its ends are kept, and it fits."""
    shown = clipped(text, width)
    assert cell_len(shown) <= width
    if cell_len(text) <= width:
        assert shown == text
    elif width > 4:
        start, _, end = shown.partition("…")
        assert text.startswith(start.rstrip(" "))
        assert text.endswith(end)


FORCED: list[Mapping[str, str]] = [{"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}, {}]


@pytest.mark.parametrize("environment", FORCED)
def test_bars_are_for_terminals_that_move_their_cursor(
    tiny_space: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that asks for colours has none, nor has a dumb terminal."""
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    space = load_space(tiny_space)
    assert type(view_of(space, Console(file=io.StringIO()))) is ProgressLines
    assert type(view_of(space, Console(file=Terminal()))) is ProgressTable
    monkeypatch.setenv("TERM", "dumb")
    assert type(view_of(space, Console(file=Terminal()))) is ProgressLines


def test_lines_of_a_run_and_its_log(
    tiny_space: Path, gmsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line with the time for each trial, the front and where to look; all of it is logged.

    Starts append to the log, and one that has nothing to do does not.
    """
    monkeypatch.setenv("FORCE_COLOR", "1")
    edit(tiny_space, ("{top1: maximize, flops: minimize}", "{flops: minimize, params: minimize}"))
    done = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert "\x1b" not in done.stderr
    line = r"^\d\d:\d\d:\d\d (\d)/8 #\d COMPLETE \d\.\d s  flops \S+ params \S+  product=\S+ "
    line += r"activation=\S+ seed [01](?:; \d:\d\d left)?$"
    assert re.findall(line, done.stderr, re.MULTILINE) == list("12345678")
    front = done.stderr.partition("tiny: 8 COMPLETE; 4 of 4 arms on the front\n")[2].splitlines()
    assert " ".join(front[0].split()) == "front n flops ↓ params ↓ product · activation"
    assert sorted(row.split()[:2] for row in front[1:5]) == [[f"#{n}", "2"] for n in (1, 2, 3, 4)]
    places = ["studies/tiny/", "studies/tiny/run.log", "reports/tiny/,"]
    assert [row.split()[1] for row in front[5:]] == places
    log = Path("studies/tiny/run.log")
    first = log.read_text(encoding="utf-8")
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ")
    assert all(stamp.match(line) for line in first.splitlines())
    said = {line.partition(" ")[2] for line in first.splitlines()}
    shown = {re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in done.stderr.splitlines()}
    assert shown < said
    (start,) = said - shown
    assert start.endswith(" runs tiny.yaml on 1 worker, engine serial")
    gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert log.read_text(encoding="utf-8") == first
    edit(tiny_space, ("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert log.read_text(encoding="utf-8").startswith(first)
    assert " 12/12 #" in log.read_text(encoding="utf-8")
    assert gmsearch("list").stdout.count("tiny") == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "full"])
def test_a_log_that_cannot_be_written_is_named_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends no run, blocks none, and nothing is written through a link."""
    path = tmp_path / run_log.RUN_LOG
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        monkeypatch.setattr(run_log, "RUN_LOG", "full")
    said: list[str] = []
    log = run_log.RunLog(said.append)
    log.write("before")
    log.open(Path("/dev") if kind == "full" else tmp_path)
    log.write("after")
    log.close()
    assert len(said) == 1
    assert "cannot be written: " in said[0]
    assert not (tmp_path / "elsewhere").exists()


def test_what_takes_long_is_said_once(tiny_space: Path, tmp_path: Path) -> None:
    """What is done while nothing trains is a line and is logged, unless it takes but a moment."""
    view = ProgressLines(load_space(tiny_space), console_of(80))
    with view:
        view.log.open(tmp_path)
        view.doing("reading the images")
        view.doing("starting Ray, 2 workers")
        time.sleep(1.5)
        view.doing("comparing costs")
    (line,) = printed(view.console).splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d starting Ray, 2 workers", line)
    assert (tmp_path / run_log.RUN_LOG).read_text().endswith(" starting Ray, 2 workers\n")


def test_a_resumed_view_knows_what_earlier_starts_trained(finished: Path) -> None:
    """The time left and the best arm are there before a first new trial ends."""
    edit(finished, ("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    space = load_space(finished)
    view = ProgressTable(space, console_of(80))
    with open_study(space, inspect_run(space, finished), view, engine="serial") as driver:
        driver.advance()
        assert view.state.left is not None
        plan = driver.next()
        assert plan is not None
        console = console_of(80)
        console.print(view._drawn())
    lines = printed(console).splitlines()
    assert re.match(r"tiny  ▰+▱+  8/12  0:00 elapsed  0:\d\d left", lines[0])
    assert re.match(r"best of 4 arms so far  #\d  top1 \S+ \(n 2\)  product=", lines[-1])


def test_the_number_of_trials_is_known_while_the_baseline_is_timed(tiny_space: Path) -> None:
    """0/8 from the start, not 0/0."""
    edit(tiny_space, ("flops: minimize", "latency_ms: minimize"))
    space, log = load_space(tiny_space), Log()
    with open_study(space, inspect_run(space, tiny_space), log, engine="serial") as driver:
        driver.advance()
        assert log.counts == [(8, 0)]
        plan = driver.next()
        assert isinstance(plan, TimingPlan)
        view = ProgressLines(space, console_of(80))
        view.opened(driver.records)
        view.planned(8, 0, 1)
        view.started(plan)
        assert view.timing_of(plan) == "timing the baseline alone: product=none activation=relu6"
        metrics = {"latency_ms": 1.37, "latency_ms.low": 1.2, "latency_ms.high": 1.6}
        view.finished(plan, plan.completed(metrics, disturbed=True))
        view.__exit__(None, None, None)
    line = printed(view.console).splitlines()[-1]
    assert line.endswith(
        "baseline timed disturbed  latency_ms 1.37 (1.20 to 1.60)  product=none activation=relu6"
    )


@functools.cache
def _space(path: Path) -> Space:
    return load_space(path)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1))))
def test_arms_are_numbered_in_the_order_of_their_first_proposal(
    asked: list[tuple[str, int]],
) -> None:
    """Parameters that give the same arm have one number, and it stays when more is asked."""
    records = Records(folder=Path())
    numbers, seen = ArmNumbers(records), dict[str, int]()
    for n, (arm, spelling) in enumerate(asked):
        records.asks.append(AskRecord(number=n, params={arm: spelling}, arm=arm))
        assert numbers.of({arm: spelling}) == seen.setdefault(arm, len(seen) + 1)
    assert numbers.of({"d": 0}) is None
    assert len(numbers) == len(seen)


def _trial(arm: str, seed: int, value: float) -> TrialRecord:
    return TrialRecord(
        key=f"{arm}{seed}",
        state=State.COMPLETE,
        arm=arm,
        digest=arm,
        seed=seed,
        params={},
        candidate={},
        recipe={},
        metrics={"top1": value},
    )


ARMS = st.dictionaries(
    st.sampled_from("abcd"),
    st.dictionaries(st.integers(0, 4), st.floats(0, 1), min_size=1),
    max_size=4,
)


@given(ARMS)
def test_the_best_arm_is_compared_over_shared_seeds(
    tiny_study: Path, arms: dict[str, dict[int, float]]
) -> None:
    """It is the best of those that the front would compare by equal seeds; else there is none."""
    trials = [_trial(arm, seed, v) for arm, by_seed in arms.items() for seed, v in by_seed.items()]
    records = Records(folder=Path(), trials={trial.key: trial for trial in trials})
    best = best_arm(_space(tiny_study / "tiny.yaml"), records)
    compared = comparable(arms)
    if not compared.fair or not compared.seeds:
        assert best is None
        return
    assert best is not None
    means = [
        sum(arms[arm][seed] for seed in seeds) / len(seeds)
        for arm, seeds in compared.seeds.items()
    ]
    assert len(set(compared.seeds.values())) == 1
    assert best.value == pytest.approx(max(means))
    assert (best.n, best.arms) == (len(next(iter(compared.seeds.values()))), len(means))
