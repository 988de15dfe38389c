"""A small study that faults are injected into: started, watched, resumed and counted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

SPACE = """\
study: faulty
model:
  family: gmnet
  stem_width: 4
  widths: [4, 8]
  depths: [1, 1]
  mlp_ratio: 2
  kernel_size: 3
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu6, gelu]}
baseline: {gate.product: none, gate.activation: relu6}
data: {name: spectral, resolution: 32, classes: 3, train_images: 60, evaluation_images: 30}
train: {epochs: 20, batch_size: 16, lr: 3e-3}
bands: {radii: [4]}
objectives: {top1: maximize, flops: minimize}
search: {method: grid, seeds: [0, 1]}
"""
TRIALS = 8
STUDY = Path("studies/faulty")
LIMIT = 240.0
"""Seconds after which a study counts as waiting for ever."""

MEASURED = ("seconds", "run", "attempt", "device_name")


class TooLateError(Exception):
    """Something that had to happen did not, in time."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    """What it wrote to both streams."""
    seconds: float
    """From the moment that is asked about to its end."""


class Run:
    """One start of the study in a process of its own, in the current folder."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-P", "-m", "gmsearch", "run", "faulty.yaml", *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def wait_for(self, trials: int) -> None:
        """Wait until the ledger holds so many trials."""
        self._until(lambda: len(lines("trial")) >= trials, f"{trials} trials")

    def wait_for_timing(self) -> None:
        """Wait until a first candidate is being timed."""
        self._until(lambda: bool(lines("ask")) and bool(self.workers()), "a timing")

    def workers(self) -> list[psutil.Process]:
        """Return the processes in which Ray runs trials."""
        return [p for p in self.children() if "ray::ResourceTrainable" in " ".join(cmdline(p))]

    def worker(self) -> psutil.Process:
        """Wait for a process in which Ray runs trials; return it."""
        self._until(lambda: bool(self.workers()), "a worker")
        return self.workers()[0]

    def service(self, name: str) -> psutil.Process:
        """Return Ray's process whose command has a name, such as `raylet`."""
        self._until(lambda: bool(self._services(name)), name)
        return self._services(name)[0]

    def children(self) -> list[psutil.Process]:
        """Return all processes below this one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def end(self) -> Ended:
        """Wait for the end.

        Raises:
            TooLateError: it did not end in time; it is killed, and what it started.
        """
        begin = time.monotonic()
        try:
            output, _ = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            for process in [*self.children(), psutil.Process(self.process.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            raise TooLateError(f"it has not ended after {LIMIT:.0f} s") from None
        return Ended(self.process.returncode, output, time.monotonic() - begin)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def _services(self, name: str) -> list[psutil.Process]:
        return [p for p in self.children() if any(name in part for part in cmdline(p)[:4])]

    def _until(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not done():
            if self.process.poll() is not None:
                raise TooLateError(
                    f"it ended before there was {what}: {self.process.communicate()[0]}"
                )
            if time.monotonic() > end:
                raise TooLateError(f"there was no {what}")
            time.sleep(0.02)


def cmdline(process: psutil.Process) -> list[str]:
    """Return the command of a process; empty once it is gone."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def command(*arguments: str, limit: float = LIMIT, **environment: str) -> Ended:
    """Run `gmsearch` with some arguments to its end."""
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "gmsearch", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        raise TooLateError(
            f"gmsearch {' '.join(arguments)} has not ended after {limit:.0f} s"
        ) from None
    return Ended(done.returncode, done.stdout + done.stderr, time.monotonic() - begin)


def lines(kind: str) -> list[dict[str, Any]]:
    """Return the records of one kind in the ledger; none where there is no ledger."""
    try:
        text = (STUDY / "trials.jsonl").read_text(encoding="utf-8")
    except OSError:
        return []
    trees = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # one that is being written
            trees.append(json.loads(line))
    return [tree for tree in trees if tree.get("record") == kind]


def results() -> list[dict[str, Any]]:
    """Return the last record of every trial, without what was measured by a clock."""
    last = {tree["key"]: tree for tree in lines("trial")}
    kept = [{k: v for k, v in t.items() if k not in MEASURED} for t in last.values()]
    return sorted(kept, key=lambda tree: str(tree["key"]))


def repeated() -> int:
    """Return how many trials were trained again although they had completed."""
    complete = Counter(tree["key"] for tree in lines("trial") if tree["state"] == "COMPLETE")
    return sum(count - 1 for count in complete.values())


def change(old: str, new: str) -> None:
    """Replace a text of the space file, which must be in it."""
    path = Path("faulty.yaml")
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def mount(*arguments: str) -> None:
    """Call `mount`, or `umount`; needs its right."""
    program = shutil.which(arguments[0])
    if program is None:
        raise OSError(f"{arguments[0]} is missing")
    subprocess.run([program, *arguments[1:]], check=True, capture_output=True)
