"""Edits and runs small studies, for the tests of several parts."""

from __future__ import annotations

from pathlib import Path

from gmsearch.driver import open_study
from gmsearch.driver.preflight import inspect_run
from gmsearch.engines import serial
from gmsearch.experiment import Plan, Progress
from gmsearch.ledger import STUDIES, Records, read_records
from gmsearch.records import WorkRecord
from gmsearch.spacefile import load_space


class Log:
    """Observer that keeps what it is called with, in order."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []
        self.plans: list[Plan] = []
        self.epochs: list[Progress] = []

    def opened(self, records: Records) -> None:
        """Keep nothing; the ledger has the records."""

    def doing(self, what: str) -> None:
        """Keep nothing."""

    def planned(self, total: int, done: int, timings: int) -> None:
        """Keep the counts of trials."""
        del timings
        self.counts.append((total, done))

    def started(self, plan: Plan) -> None:
        """Keep the plan."""
        self.plans.append(plan)

    def progress(self, progress: Progress) -> None:
        """Keep the epoch."""
        self.epochs.append(progress)

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Keep nothing; the ledger has the record."""


def edit(path: Path, *changes: tuple[str, str]) -> Path:
    """Replace texts of a space file, each of which must be in it; return its path."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def run_all(path: Path) -> tuple[Records, Log]:
    """Run the study of a space file to its end, serially; return its records and a log."""
    space, log = load_space(path), Log()
    with open_study(space, inspect_run(space, path), log, engine="serial") as driver:
        serial.run(driver)
        assert driver.finished
    return read_records(STUDIES / space.study), log
