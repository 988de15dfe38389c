"""Disturbed timings are made again, by a run up to three times and on request; the best counts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_studies import Log, edit

from gmsearch.driver import Driver, inspect_run, open_study
from gmsearch.experiment import TimingPlan
from gmsearch.ledger import STUDIES, read_records, read_study, spool
from gmsearch.records import Failure, TimingRecord
from gmsearch.report.collect import collect
from gmsearch.spacefile import load_space


@pytest.fixture
def timed(tiny_space: Path) -> Path:
    """Let the tiny space minimise latency, under a bound that is a multiple of the baseline's."""
    bound = "search:", "constraints: {latency_ms: {max: 1.5 x baseline}}\nsearch:"
    return edit(tiny_space, ("flops: minimize", "latency_ms: minimize"), bound)


def end(driver: Driver, plan: TimingPlan, milliseconds: float, *, disturbed: bool) -> None:
    """End a timing as a worker would, with a made-up time."""
    ends = {"": 1.0, ".low": 0.9, ".high": 1.1}
    metrics = {f"{m}{e}": milliseconds * f for m in plan.wanted for e, f in ends.items()}
    record = plan.completed(metrics, disturbed=disturbed)
    spool(Path(plan.study_dir), dataclasses.replace(record, device_name="this one"))
    driver.finish(plan)


def timings_of(path: Path, log: list[TimingPlan]) -> Iterator[tuple[Driver, TimingPlan]]:
    """Yield the timings that a run of the study hands out, until there are no more."""
    space = load_space(path)
    context = dataclasses.replace(inspect_run(space, path), device_name="this one")
    with open_study(space, context, Log(), engine="serial") as driver:
        while isinstance(plan := driver.next(), TimingPlan):
            log.append(plan)
            yield driver, plan


def counted(records: Any, path: Path) -> dict[str, float]:
    """Return the latency of every candidate that has one, as the run's trials would record it."""
    best: dict[str, TimingRecord] = {}
    for record in records.timings:
        if record.counts_before(best.get(record.digest)):
            best[record.digest] = record
    return {digest: (r.metrics or {}).get("latency_ms", 0.0) for digest, r in best.items()}


def test_a_disturbed_timing_is_made_again_up_to_three_times(timed: Path) -> None:
    """One quiet attempt is enough and is what counts; three noisy ones are."""
    log: list[TimingPlan] = []
    for driver, plan in timings_of(timed, log):
        noisy = plan.arm.candidate.gate.activation == "gelu"
        quiet = not noisy and plan.attempt == 2
        end(driver, plan, 1.0 if quiet else 5.0, disturbed=not quiet)
        remark = driver.remark
    attempts = Counter(
        (plan.arm.candidate.digest, plan.arm.candidate.gate.activation) for plan in log
    )
    assert {activation: n for (_, activation), n in attempts.items()} == {"relu6": 2, "gelu": 3}
    assert len(attempts) == 4
    assert remark is None
    found = counted(read_records(STUDIES / "tiny"), timed)
    assert sorted(found.values()) == [1.0, 1.0, 5.0, 5.0]
    again: list[TimingPlan] = []
    for driver, plan in timings_of(timed, again):
        end(driver, plan, 1.0, disturbed=False)
    assert again == []


def test_a_bound_on_a_disturbed_baseline_is_named(timed: Path) -> None:
    """The run judges by it, and says so with the command that mends it."""
    log: list[TimingPlan] = []
    remark: str | None = None
    space = load_space(timed)
    context = dataclasses.replace(inspect_run(space, timed), device_name="this one")
    with open_study(space, context, Log(), engine="serial") as driver:
        while isinstance(plan := driver.next(), TimingPlan):
            log.append(plan)
            end(driver, plan, 1.0, disturbed=plan.params == space.baseline)
        remark = driver.remark
    assert Counter(plan.attempt for plan in log) == {1: 4, 2: 1, 3: 1}
    assert remark is not None
    assert "latency_ms <= 1.5 x baseline" in remark
    assert "gmsearch measure tiny --latency --disturbed" in remark


def test_timings_rank() -> None:
    """Quiet before disturbed before failed; of two alike the later one counts."""
    base = TimingRecord(key="k")
    failed = dataclasses.replace(base, failure=Failure.OOM)
    noisy = dataclasses.replace(base, metrics={"latency_ms": 1.0}, disturbed=True)
    quiet = dataclasses.replace(noisy, disturbed=False)
    order = [failed, noisy, quiet]
    for i, earlier in enumerate(order):
        assert earlier.counts_before(None)
        for j, later in enumerate(order):
            assert later.counts_before(earlier) == (j >= i)


def test_measure_times_again(timed: Path, gmsearch: Callable[..., Any]) -> None:
    """`measure --latency` times every candidate, with `--disturbed` only those that need it."""
    for driver, plan in timings_of(timed, []):
        end(driver, plan, 1e4, disturbed=plan.arm.candidate.gate.activation == "gelu")
    # As if they had been made here, and in an earlier run.
    ledger = STUDIES / "tiny" / "trials.jsonl"
    from gmsearch.environment import cpu_name

    ledger.write_text(ledger.read_text().replace("this one", cpu_name()))
    assert gmsearch("measure", "tiny", "--disturbed").returncode == 2
    before = len(read_records(STUDIES / "tiny").timings)
    done = gmsearch("measure", "tiny", "--latency")
    assert done.returncode == 0, done.stderr
    assert "4 candidates timed again" in done.stderr
    records = read_records(STUDIES / "tiny")
    assert len(records.timings) == before + 4
    noisy = [t.key for t in records.timings[before:] if t.disturbed]
    done = gmsearch("measure", "tiny", "--latency", "--disturbed")
    words = f"{len(noisy)} candidates timed again" if noisy else "no timing was disturbed"
    assert words in done.stderr


def test_a_lost_worker_leaves_no_trace_in_the_facts(timed: Path) -> None:
    """Its timing is made again, and a report says nothing of the attempt that was lost."""
    facts = []
    for name, lose in (("lost", True), ("calm", False)):
        edit(timed, (f"study: {'tiny' if lose else 'lost'}", f"study: {name}"))
        for driver, plan in timings_of(timed, []):
            if lose and plan.attempt == 1:
                driver.finish(plan)
            else:
                end(driver, plan, 1.0, disturbed=False)
        facts.append(collect(read_study(STUDIES / name)))
    lost, calm = facts
    assert lost.endings == calm.endings
    assert lost.timings == calm.timings
