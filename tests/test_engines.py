"""Both engines through the command line: equal records, worker deaths, kill -9, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_studies import edit, run_all

from gmsearch.ledger import read_records
from gmsearch.records import State

MEASURED = {"seconds", "run"}

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LONGER = ("epochs: 2", "epochs: 20")
_HEARD = (signal.SIGINT, signal.SIGHUP)


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nobody_left() -> Iterator[None]:
    """End what a test that failed has left running, by its process ids."""
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.terminate()
            process.kill()
            process.communicate()


def start(*arguments: str, nice: int = 0, **environment: str) -> subprocess.Popen[str]:
    """Start the command line in the current folder, at a lower priority if asked for.

    As for the installed program, the folder is not on its import path.
    """
    polite = ["nice", "-n", str(nice)] if nice else []
    command = [*polite, sys.executable, "-P", "-m", "gmsearch", *arguments]
    # What a shell puts in the background, or nohup runs, these tests perhaps, is deaf to one.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _HEARD}
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _started.append(process)
    return process


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and what was written to stderr."""
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def trials(study: str) -> list[dict[str, Any]]:
    """Return the trials of a study without measured times, ordered by key."""
    found = [trial.to_json() for trial in read_records(Path("studies") / study).trials.values()]
    kept = [{k: v for k, v in tree.items() if k not in MEASURED} for tree in found]
    return sorted(kept, key=lambda tree: str(tree["key"]))


def attempts(study: str) -> Counter[str]:
    """Return how many trial records the ledger holds per key."""
    lines = (Path("studies") / study / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return Counter(r["key"] for r in map(json.loads, lines) if r["record"] == "trial")


def wait_for_trials(study: str, n: int, process: subprocess.Popen[str]) -> None:
    """Wait until the ledger holds `n` trials."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        ledger = Path("studies") / study / "trials.jsonl"
        if ledger.exists() and sum(attempts(study).values()) >= n:
            return
        time.sleep(0.05)
    pytest.fail(f"no {n} trials in time")


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until Ray runs our trials; return the processes in which it does."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = []
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "ray::ResourceTrainable" in " ".join(child.cmdline()):
                    found.append(child)
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("no worker in time")


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> list[dict[str, Any]]:
    """Run the tiny space serially, undisturbed, in a folder of its own; return its trials."""
    folder = tmp_path_factory.mktemp("serial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tiny.yaml").write_text(tiny_text, encoding="utf-8")
        edit(Path("tiny.yaml"), LONGER)
        run_all(Path("tiny.yaml"))
        return trials("tiny")


@pytest.fixture
def longer(tiny_space: Path) -> Path:
    """Give the tiny space trials of about a second, so that a signal meets one that runs."""
    edit(tiny_space, LONGER)
    return tiny_space


@pytest.fixture
def endless(longer: Path) -> Path:
    """Give it more trials than any test waits for."""
    edit(longer, ("seeds: [0, 1]", "seeds: 500"))
    return longer


def test_both_engines_give_equal_records(longer: Path, serial: list[dict[str, Any]]) -> None:
    """All that is not a measured time is equal to the last bit, on actors used several times.

    Neither another Ray in the environment nor packages of the same names in the folder matter.
    """
    for name in ("timm", "numpy", "gmsearch"):
        Path(f"{name}.py").write_text("raise SystemExit('not the one meant')", encoding="utf-8")
    code, errors = finish(start("run", "tiny.yaml", RAY_ADDRESS="192.0.2.1:6379"))
    assert code == 0, errors
    assert trials("tiny") == serial
    of_ray = [line for line in errors.splitlines() if "ray" in line.lower()]
    assert re.fullmatch(r"[0-9:]{8} starting Ray, \d workers?", "\n".join(of_ray))


def test_kill_9_of_the_driver_loses_nothing(longer: Path, serial: list[dict[str, Any]]) -> None:
    """Killed and started again at once, a study has every trial once and the same numbers."""
    process = start("run", "tiny.yaml")
    wait_for_trials("tiny", 3, process)
    assert {worker.nice() for worker in workers_of(process)} == {os.nice(0)}
    process.kill()
    process.communicate(timeout=30)
    code, errors = finish(start("run", "tiny.yaml"))
    assert code == 0, errors
    assert trials("tiny") == serial
    assert set(attempts("tiny").values()) == {1}


def listening(process: subprocess.Popen[str]) -> set[str]:
    """Return the addresses on which the process and its children wait for connections."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    sockets = [c for member in family for c in member.net_connections("tcp")]
    return {c.laddr.ip for c in sockets if c.status == psutil.CONN_LISTEN}


def test_a_killed_worker_costs_one_attempt(longer: Path, serial: list[dict[str, Any]]) -> None:
    """A worker killed mid-trial is an infrastructure failure; the trial is run again.

    Meanwhile no process of ours can be reached from another machine, and the workers run at the
    priority of the command.
    """
    process = start("run", "tiny.yaml", "--workers", "1", nice=5)
    wait_for_trials("tiny", 1, process)
    assert psutil.Process(process.pid).nice() == os.nice(0) + 5
    assert {worker.nice() for worker in workers_of(process)} == {os.nice(0) + 5}
    assert listening(process) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert listening(process)
    for worker in workers_of(process):
        worker.kill()
    code, errors = finish(process)
    assert code == 0, errors
    again = trials("tiny")
    assert [{**t, "attempt": 1} for t in again] == serial
    assert max(t["attempt"] for t in again) == 2
    assert "infrastructure" in errors
    named = [line for line in errors.lower().splitlines() if "ray" in line]
    assert [line.split(" ", 1)[1] for line in named] == ["starting ray, 1 worker"]


def test_nothing_waits_for_ever(longer: Path, serial: list[dict[str, Any]]) -> None:
    """A worker that hangs is ended and its trial run again; a dead raylet ends the study at once.

    What is left is run by the same command.
    """
    process = start("run", "tiny.yaml", "--workers", "1", "--hang-seconds", "4")
    wait_for_trials("tiny", 1, process)
    for worker in workers_of(process):
        worker.suspend()
    wait_for_trials("tiny", 2, process)
    lines = Path("studies/tiny/trials.jsonl").read_text(encoding="utf-8").splitlines()
    hung = [tree for tree in map(json.loads, lines) if tree.get("failure") == "hang"]
    assert [(tree["attempt"], tree["state"]) for tree in hung] == [(1, "FAILED")]
    children = psutil.Process(process.pid).children(recursive=True)
    (raylet,) = (child for child in children if child.name() == "raylet")
    raylet.kill()
    begin = time.monotonic()
    code, errors = finish(process)
    assert time.monotonic() - begin < 60
    assert code == 1
    assert errors.strip().splitlines()[-1].startswith("raylet of Ray ended unexpectedly; finished")
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    code, errors = finish(start("run", "tiny.yaml"))
    assert code == 0, errors
    assert [{**t, "attempt": 1} for t in trials("tiny")] == serial


@pytest.mark.parametrize(
    ("engine", "number"),
    [("ray", signal.SIGINT), ("ray", signal.SIGTERM), ("serial", signal.SIGHUP)],
)
def test_an_interrupt_ends_soon_keeps_what_finished_and_says_how_to_go_on(
    endless: Path, number: signal.Signals, engine: str
) -> None:
    """Exit code 130 within seconds, the resuming command, finished trials kept, nobody left."""
    process = start("run", "tiny.yaml", "--engine", engine, "--workers", "1")
    wait_for_trials("tiny", 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    begin = time.monotonic()
    os.kill(process.pid, number)
    code, errors = finish(process)
    assert code == 130
    assert time.monotonic() - begin < 15
    assert f"gmsearch run tiny.yaml --engine {engine} --workers 1" in errors
    assert "Traceback" not in errors
    log = Path("studies/tiny/run.log").read_text(encoding="utf-8")
    assert log.endswith(" interrupted\n")
    kept = trials("tiny")
    assert len(kept) >= 2
    assert all(trial["state"] == State.COMPLETE for trial in kept)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def _wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until something listens on a port of this machine."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"nothing listens on port {port} in time")


JOIN = """
import sys
from gmsearch.engines.ray import joined
import ray
for _ in range(2):
    with joined(sys.argv[1]):
        print(ray.get(ray.remote(num_cpus=1)(lambda: "worked").remote()), flush=True)
"""


@pytest.fixture
def cluster() -> Iterator[tuple[str, dict[str, str]]]:
    """Start a Ray cluster of one node; return its address and the environment with its token."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**os.environ, **token}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A short path, which the names of sockets need.
    with tempfile.TemporaryDirectory(
        prefix="gm", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        place = ["--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={folder}"]
        size = ["--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats"]
        start_head = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        head = subprocess.Popen(
            [*start_head, *place, *size],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            _wait_for_port(port, head)
            yield f"127.0.0.1:{port}", environment
            assert head.poll() is None
        finally:
            family = [*psutil.Process(head.pid).children(recursive=True), psutil.Process(head.pid)]
            for member in family:
                member.terminate()
            _, alive = psutil.wait_procs(family, timeout=10)
            for member in alive:
                member.kill()
            head.wait()


def test_a_joined_cluster_keeps_running(cluster: tuple[str, dict[str, str]]) -> None:
    """Joined by its address twice in turn: leaving does not end it."""
    address, environment = cluster
    command = [sys.executable, "-c", JOIN, address]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["worked"] * 2, done.stderr
