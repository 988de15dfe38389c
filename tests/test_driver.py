"""The loop of a study: everything once, whatever interrupts it, and nothing that may not be."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_studies import Log, edit, run_all

from gmsearch import runner
from gmsearch.data import load
from gmsearch.driver import Driver, open_study
from gmsearch.driver.preflight import RunContext, inspect_run
from gmsearch.engines import serial
from gmsearch.errors import StudyError
from gmsearch.experiment import Plan, TimingPlan, TrialPlan
from gmsearch.ledger import STUDIES, Records, read_records, spool
from gmsearch.plain import digest
from gmsearch.records import Failure, State, TimingRecord
from gmsearch.space import Space
from gmsearch.spacefile import load_space

MEASURED = {"seconds", "run", "started", "created"}
TIMED = {"latency_ms"}


def context_of(space: Space) -> RunContext:
    """Return the context of a run of a space on this CPU."""
    return inspect_run(space, Path("tiny.yaml"))


def run_plans(driver: Driver, n: int) -> None:
    """Run the next `n` plans, each to its end."""
    for _ in range(n):
        plan = driver.next()
        if plan is None:
            return
        for progress in runner.run(plan):
            driver.progress(progress)
        driver.finish(plan)


def meaning(records: Records) -> list[dict[str, Any]]:
    """Return the trials without measured times, ordered by key."""
    found = []
    for trial in records.trials.values():
        tree = {k: v for k, v in trial.to_json().items() if k not in MEASURED}
        tree["metrics"] = {k: v for k, v in tree["metrics"].items() if k not in TIMED}
        found.append(tree)
    return sorted(found, key=lambda tree: str(tree["key"]))


def test_a_grid_trains_every_arm_with_every_seed_once(tiny_space: Path) -> None:
    """The trials are the product of arms and seeds, each COMPLETE, seeds in the outer loop."""
    records, log = run_all(tiny_space)
    done = [
        (t.seed, t.params["gate.product"], t.params["gate.activation"])
        for t in records.trials.values()
    ]
    assert done == list(itertools.product([0, 1], ["none", "self"], ["relu6", "gelu"]))
    assert {t.state for t in records.trials.values()} == {State.COMPLETE}
    assert [plan.kind for plan in log.plans] == ["trial"] * 8
    assert len(log.epochs) == 16
    assert log.counts[0] == (8, 0)
    assert log.counts[-1] == (8, 8)


def test_a_record_holds_every_measurement(finished: Path) -> None:
    """Accuracy of both splits, bands with their controls, costs and regimes; all finite."""
    records = read_records(STUDIES / "tiny")
    trial = next(iter(records.trials.values()))
    both = ["top1", "top5", "loss", "nodc", "low@4", "high@4", "majority.high@4", "majority.raw"]
    names = {
        *both,
        *(f"holdout.{name}" for name in both),
        *("params", "flops", "elementwise_ops", "activation_elements"),
        *("chance", "train_loss", "share_below_0", "share_above_6"),
    }
    assert names <= set(trial.metrics)
    assert "latency_ms" not in trial.metrics
    assert trial.metrics["chance"] == pytest.approx(1 / 3, abs=0.05)


def test_weights_predictions_and_curves_are_kept(finished: Path) -> None:
    """The kept predictions give the recorded accuracy again; the curve has a row an epoch."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    from gmsearch.models import build
    from gmsearch.networks import candidate_from

    records = read_records(STUDIES / "tiny")
    space = load_space(finished)
    labels = load(space.data).evaluation.labels
    for trial in records.trials.values():
        predictions = np.load(records.folder / "weights" / f"{trial.key}.predictions.npz")
        for version, metric in (("raw", "top1"), ("high@4", "high@4"), ("nodc", "nodc")):
            assert np.mean(predictions[version] == labels) == trial.metrics[metric]
        model = build(candidate_from(trial.candidate), num_classes=3, seed=99)
        model.load_state_dict(load_file(records.folder / "weights" / f"{trial.key}.safetensors"))
        assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
        history = json.loads((records.folder / "history" / f"{trial.key}.json").read_text())
        assert history["epoch"] == [1, 2]
        assert history["split"] == "holdout"
        assert history["top1"][-1] == trial.metrics["holdout.top1"]
        assert history["high@4"][-1] == trial.metrics["holdout.high@4"]


def test_a_second_run_of_a_finished_study_does_nothing(finished: Path) -> None:
    """No plan is handed out, and no byte of the study changes."""
    records = read_records(STUDIES / "tiny")
    before = {p: p.read_bytes() for p in records.folder.rglob("*.json*")}
    _, log = run_all(finished)
    assert log.plans == []
    assert {p: p.read_bytes() for p in records.folder.rglob("*.json*")} == before


METHODS = {
    "grid": ("method: grid", "method: grid"),
    "ablation": ("method: grid", "method: ablation"),
    "random": ("method: grid", "method: random, candidates: 4"),
    "tpe": ("method: grid", "method: tpe, candidates: 4"),
    "nsga2": ("method: grid", "method: nsga2, population: 2, candidates: 4"),
}


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_study_ends_as_one_that_was_not(
    tiny_space: Path, tmp_path: Path, method: str
) -> None:
    """Abandoned after any number of plans, with one more handed out, a study ends the same."""
    edit(tiny_space, METHODS[method], ("seeds: [0, 1]", "seeds: [0]"), ("epochs: 2", "epochs: 1"))
    undisturbed, _ = run_all(tiny_space)
    edit(tiny_space, ("study: tiny", "study: disturbed"))
    space = load_space(tiny_space)
    started: list[str] = []
    for plans in (1, 0, 2, 1):
        log = Log()
        with open_study(space, context_of(space), log, engine="serial") as driver:
            run_plans(driver, plans)
            driver.next()
        started += [plan.key for plan in log.plans[:plans]]
    disturbed, log = run_all(tiny_space)
    started += [plan.key for plan in log.plans]
    assert len(started) == len(set(started)) == len(disturbed.trials)
    assert meaning(disturbed) == meaning(undisturbed)
    asks = [{k: v for k, v in a.to_json().items() if k != "attributes"} for a in undisturbed.asks]
    assert [
        {k: v for k, v in a.to_json().items() if k != "attributes"} for a in disturbed.asks
    ] == asks


def test_what_a_worker_spooled_is_not_trained_again(tiny_space: Path) -> None:
    """A record in the spool counts, though the driver died before it was told."""
    space, log = load_space(tiny_space), Log()
    with open_study(space, context_of(space), log, engine="serial") as driver:
        plan = driver.next()
        assert plan is not None
        list(runner.run(plan))
    records, log = run_all(tiny_space)
    assert plan.key not in [p.key for p in log.plans]
    assert len(records.trials) == 8


def test_a_timing_runs_alone_and_first(tiny_space: Path) -> None:
    """While a timing is out nothing is handed out; trials carry the latency of their candidate."""
    two = ("activation: {choice: [relu6, gelu]}", "activation: relu6")
    edit(tiny_space, two, (", gate.activation: relu6", ""), ("flops:", "latency_ms:"))
    space, log = load_space(tiny_space), Log()
    with open_study(space, context_of(space), log, engine="serial") as driver:
        timings = 0
        while isinstance(first := driver.next(), TimingPlan):
            timings += 1
            assert driver.next() is None
            list(runner.run(first))
            driver.finish(first)
        second = driver.next()
        assert timings >= 2
        assert isinstance(first, TrialPlan)
        assert isinstance(second, TrialPlan)
        assert first.known["latency_ms"] > 0
    records, log = run_all(tiny_space)
    assert {p.kind for p in log.plans} == {"trial"}
    best: dict[str, TimingRecord] = {}
    for timing in records.timings:
        if timing.counts_before(best.get(timing.digest)):
            best[timing.digest] = timing
    timed = {digest: (timing.metrics or {})["latency_ms"] for digest, timing in best.items()}
    assert len(timed) == 2
    assert all(t.metrics["latency_ms"] == timed[t.digest] for t in records.trials.values())


def time_all(path: Path, milliseconds: float) -> list[tuple[str, ...]]:
    """Finish every timing that is due with a made-up time; return what each wanted."""
    space, wanted = load_space(path), []
    with open_study(space, context_of(space), Log(), engine="serial") as driver:
        while isinstance(plan := driver.next(), TimingPlan):
            wanted.append(plan.wanted)
            ends = {"": 1.0, ".low": 0.9, ".high": 1.1}
            metrics = {f"{m}{e}": milliseconds * f for m in plan.wanted for e, f in ends.items()}
            spool(Path(plan.study_dir), plan.completed(metrics))
            driver.finish(plan)
    return wanted


def test_a_condition_is_timed_once_a_study(tiny_space: Path) -> None:
    """All that is asked for is one timing a candidate; what is asked for later is timed alone."""
    both = "flops: minimize, latency_ms: minimize, throughput_ips@b64: maximize"
    edit(tiny_space, ("flops: minimize", both))
    assert time_all(tiny_space, 2.0) == [("latency_ms", "throughput_ips@b64")] * 4
    assert time_all(tiny_space, 2.0) == []
    edit(tiny_space, ("throughput_ips@b64", "latency_ms@b1.compiled"))
    assert time_all(tiny_space, 3.0) == [("latency_ms@b1.compiled",)] * 4
    edit(tiny_space, ("latency_ms@b1.compiled", "throughput_ips@b64"))
    assert time_all(tiny_space, 4.0) == []


def end_timing(driver: Driver, plan: TimingPlan, device_name: str, milliseconds: float) -> None:
    """End a timing with a made-up time, as a worker on a device of that name would."""
    task = {"classes": 3, "resolution": 32}
    ends = {"": 1.0, ".low": 0.9, ".high": 1.1}
    metrics = {f"{m}{end}": milliseconds * f for m in plan.wanted for end, f in ends.items()}
    record = plan.on(device_name, **task).completed(metrics)
    spool(Path(plan.study_dir), dataclasses.replace(record, device_name=device_name))
    driver.finish(plan)


def timed_on(path: Path, names: Callable[[TimingPlan], str], driver_device: str) -> Records:
    """Finish all timings that are due on devices of these names; return the records."""
    space = load_space(path)
    context = dataclasses.replace(context_of(space), device_name=driver_device)
    with open_study(space, context, Log(), engine="serial") as driver:
        while isinstance(plan := driver.next(), TimingPlan):
            end_timing(driver, plan, names(plan), 2.0)
        if plan is not None:
            assert isinstance(plan, TrialPlan)
            assert plan.known["latency_ms"] == 2.0
    return read_records(STUDIES / space.study)


def test_timings_are_of_the_device_that_measured_them(tiny_space: Path) -> None:
    """A driver without a GPU compares what its workers timed on theirs, and resumes from it."""
    edit(tiny_space, ("flops: minimize", "latency_ms: minimize"))
    records = timed_on(tiny_space, lambda _: "A GPU", "A head node")
    assert [record.device_name for record in records.timings] == ["A GPU"] * 4
    assert len({record.key for record in records.timings}) == 4
    assert all(record.failure is None for record in records.timings)
    assert len(timed_on(tiny_space, lambda _: "A GPU", "A head node").timings) == 4
    # A machine of another name has measured nothing yet.
    records = timed_on(tiny_space, lambda _: "Its own", "Its own")
    assert [record.device_name for record in records.timings[4:]] == ["Its own"] * 4


def test_timings_of_two_devices_are_never_mixed(tiny_space: Path) -> None:
    """A timing made on another device than the others fails, and is made again."""
    edit(tiny_space, ("flops: minimize", "latency_ms: minimize"))

    def names(plan: TimingPlan) -> str:
        gelu = plan.params["gate.activation"] == "gelu"
        return "A small GPU" if gelu and plan.attempt == 1 else "A GPU"

    records = timed_on(tiny_space, names, "A head node")
    failed = [record for record in records.timings if record.failure is not None]
    assert [record.failure for record in failed] == [Failure.INFRASTRUCTURE] * 2
    assert {record.error for record in failed} == {
        "timed on A small GPU, but the timings of this run are compared on A GPU"
    }
    good = [record for record in records.timings if record.device_name == "A GPU"]
    assert len({record.key for record in good}) == len(good) == 4


def test_on_one_machine_keys_are_those_of_release_0_1(tiny_space: Path) -> None:
    """The key of a timing is the digest of candidate, data, threads and the driver's device."""
    edit(tiny_space, ("flops: minimize", "latency_ms: minimize"))
    space, log = load_space(tiny_space), Log()
    context = context_of(space)
    with open_study(space, context, log, engine="serial") as driver:
        plan = driver.next()
        assert isinstance(plan, TimingPlan)
        assert plan.key == digest(
            {
                "candidate": plan.arm.candidate.digest,
                "classes": 3,
                "resolution": 32,
                "device": context.device_name,
                "threads": 1,
            }
        )
        name = runner.device_name(plan.device)
        assert plan.on(name, classes=3, resolution=32) == plan


@pytest.mark.parametrize(
    ("bounds", "feasible"),
    [("max: 1.85", True), ("max: 1.75", False), ("min: 2.15", True), ("min: 2.25", False)],
)
def test_a_timed_metric_breaks_a_bound_with_its_whole_interval(
    tiny_space: Path, bounds: str, *, feasible: bool
) -> None:
    """2 ms in [1.8, 2.2] keep a bound that one end keeps, above or below."""
    edit(tiny_space, ("search:", f"constraints: {{latency_ms@b64: {{{bounds}}}}}\nsearch:"))
    time_all(tiny_space, 2.0)
    space = load_space(tiny_space)
    with open_study(space, context_of(space), Log(), engine="serial") as driver:
        plan = driver.next()
    assert (plan is not None) == feasible


def test_what_breaks_a_static_constraint_is_recorded_and_never_trained(tiny_space: Path) -> None:
    """Arms above the bound, here a multiple of the baseline's, are INFEASIBLE and untrained."""
    edit(
        tiny_space,
        ("mlp_ratio: 2", "mlp_ratio: {choice: [2, 8]}"),
        ("baseline: {", "baseline: {mlp_ratio: 2, "),
        ("search:", "constraints: {params: {max: 1.5 x baseline}}\nsearch:"),
    )
    records, _ = run_all(tiny_space)
    assert {t.params["mlp_ratio"] for t in records.trials.values()} == {2}
    assert [r.params["mlp_ratio"] for r in records.infeasible] == [8] * 4
    assert all(r.violations["params"] > 0 for r in records.infeasible)
    run_all(tiny_space)
    assert len(read_records(records.folder).infeasible) == 4


def test_an_ask_names_the_operators_that_its_cost_leaves_out(tiny_space: Path) -> None:
    """Of a model of timm with unknown operators alone; the rest of the asks are as ever."""
    head, tail = tiny_space.read_text().split("model:")
    rest = tail[tail.index("\ndata:") :]
    names = "{choice: [mobilenetv3_small_050, mobilenetv2_035]}"
    tiny_space.write_text(f"{head}model: {{family: timm, name: {names}}}{rest}")
    space = load_space(tiny_space)
    with open_study(space, context_of(space), Log(), engine="serial") as driver:
        driver.advance()
    asks = read_records(STUDIES / space.study).asks
    assert [list(ask.uncounted) for ask in asks] == [["mean"], []]


def test_loosening_a_constraint_trains_what_it_had_kept_out(tiny_space: Path) -> None:
    """Constraints are judged anew from the records at every start."""
    edit(
        tiny_space,
        ("mlp_ratio: 2", "mlp_ratio: {choice: [2, 8]}"),
        ("baseline: {", "baseline: {mlp_ratio: 2, "),
        ("search:", "constraints: {params: {max: 1.5 x baseline}}\nsearch:"),
    )
    run_all(tiny_space)
    edit(tiny_space, ("1.5 x baseline", "90 x baseline"))
    records, log = run_all(tiny_space)
    assert len(log.plans) == 8
    assert len(records.trials) == 16


def test_what_is_forbidden_later_is_not_trained(tiny_space: Path) -> None:
    """An arm asked for and then forbidden stays untrained, whatever was asked before."""
    space = load_space(tiny_space)
    with open_study(space, context_of(space), Log(), engine="serial") as driver:
        run_plans(driver, 1)
    edit(tiny_space, ("search:", "forbid: [{gate.activation: gelu}]\nsearch:"))
    records, log = run_all(tiny_space)
    assert {plan.params["gate.activation"] for plan in log.plans} == {"relu6"}
    assert len(records.trials) == 4


def test_a_space_that_holds_fewer_than_asked_for_ends_and_says_so(tiny_space: Path) -> None:
    """All there is is trained; the rest is a remark, and the counts are those of what there is."""
    edit(tiny_space, ("method: grid", "method: random, candidates: 9"))
    space, log = load_space(tiny_space), Log()
    with open_study(space, context_of(space), log, engine="serial") as driver:
        serial.run(driver)
        assert driver.finished
        assert driver.counts == (8, 8)
        assert driver.stopped is None
        assert driver.remark == "the space has only 4 feasible candidates; 9 were requested"


def test_more_seeds_train_only_what_is_missing(finished: Path) -> None:
    """A third seed adds one trial an arm."""
    edit(finished, ("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    _, log = run_all(finished)
    assert [p.seed for p in log.plans if isinstance(p, TrialPlan)] == [2] * 4
    assert len(log.plans) == 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("epochs: 2", "epochs: 3"), "train.epochs"),
        (("widths: [4, 8]", "widths: [4, 4]"), "model.widths"),
        (("classes: 3", "classes: 4"), "data.classes"),
        (("method: grid", "method: ablation"), "search.method"),
        (("activation: relu6}", "activation: gelu}"), "baseline"),
        (("seeds: [0, 1]", "seeds: [0]"), "search.seeds"),
    ],
)
def test_another_space_is_refused_by_name(
    finished: Path, change: tuple[str, str], named: str
) -> None:
    """What would mix two experiments in one study is refused, naming what differs."""
    records = read_records(STUDIES / "tiny")
    before = (records.folder / "trials.jsonl").read_bytes()
    edit(finished, change)
    with pytest.raises(StudyError, match="rename `study`") as caught:
        run_all(finished)
    assert named in str(caught.value)
    assert (records.folder / "trials.jsonl").read_bytes() == before


def test_other_images_under_the_same_name_are_refused(finished: Path) -> None:
    """A study never mixes trials on two versions of its data."""
    space = load_space(finished)
    other = dataclasses.replace(context_of(space), data_identity="0" * 16)
    with (
        pytest.raises(StudyError, match="other data"),
        open_study(space, other, Log(), engine="serial"),
    ):
        pass


def test_divergence_is_a_record_and_not_tried_again(tiny_space: Path) -> None:
    """A loss that is not finite ends one trial as FAILED diverged; the study goes on."""
    edit(
        tiny_space,
        ("lr: 3e-3", "lr: {choice: [3e-3, 1e30]}, optimizer: sgd"),
        ("baseline: {", "baseline: {train.lr: 3e-3, "),
    )
    records, _ = run_all(tiny_space)
    ended = {(t.params["train.lr"], t.state, t.failure) for t in records.trials.values()}
    assert ended == {
        (3e-3, State.COMPLETE, None),
        (1e30, State.FAILED, Failure.DIVERGED),
    }
    failed = [t for t in records.trials.values() if t.state is State.FAILED]
    assert all("epoch 1, step" in (t.error or "") for t in failed)
    _, log = run_all(tiny_space)
    assert log.plans == []


def finish_as(driver: Driver, plan: Plan, failure: Failure) -> None:
    """End a plan as a failure, the way a worker would."""
    spool(Path(plan.study_dir), plan.failed(failure, "as told"))
    driver.finish(plan)


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [
        (Failure.INFRASTRUCTURE, 3),
        (Failure.OOM, 3),
        (Failure.HANG, 3),
        (Failure.CODE, 1),
        (Failure.DIVERGED, 1),
    ],
)
def test_only_the_machines_failures_are_tried_again(
    tiny_space: Path, failure: Failure, attempts: int
) -> None:
    """Three attempts in all where the machine failed, one where the candidate did."""
    edit(tiny_space, ("seeds: [0, 1]", "seeds: [0]"))
    space, log = load_space(tiny_space), Log()
    with open_study(space, context_of(space), log, engine="serial") as driver:
        while (plan := driver.next()) is not None:
            finish_as(driver, plan, failure)
        assert driver.finished
    assert [plan.attempt for plan in log.plans] == sorted(
        attempt for attempt in range(1, attempts + 1) for _ in range(4)
    )


def test_a_worker_that_left_nothing_is_infrastructure(tiny_space: Path) -> None:
    """A plan that ends without a record is recorded as lost, and tried again."""
    space, log = load_space(tiny_space), Log()
    with open_study(space, context_of(space), log, engine="serial") as driver:
        plan = driver.next()
        assert plan is not None
        driver.finish(plan)
    assert read_records(STUDIES / "tiny").trials[plan.key].failure is Failure.INFRASTRUCTURE
    records, log = run_all(tiny_space)
    again = [p.attempt for p in log.plans if p.key == plan.key]
    assert again == [2]
    assert records.trials[plan.key].state is State.COMPLETE


def test_too_many_failures_stop_a_study_that_can_be_resumed(tiny_space: Path) -> None:
    """Beyond search.max_failed nothing more is handed out; what is left stays to be done."""
    edit(tiny_space, ("method: grid", "method: grid, max_failed: 1"))
    space, log = load_space(tiny_space), Log()
    with open_study(space, context_of(space), log, engine="serial") as driver:
        for _ in range(2):
            plan = driver.next()
            assert plan is not None
            finish_as(driver, plan, Failure.CODE)
        assert driver.next() is None
        assert driver.finished
        assert driver.stopped is not None
        assert "2 of 2 trials failed" in driver.stopped
    edit(tiny_space, ("max_failed: 1", "max_failed: 5"))
    records, log = run_all(tiny_space)
    assert len(log.plans) == 6
    assert len(records.trials) == 8


def test_selection_sees_the_holdout_never_the_evaluation_split(
    tiny_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a searching sampler is told are the means of the holdout metrics over the seeds."""
    from gmsearch.search import Outcome, modelled

    told: list[Outcome] = []
    tell = modelled.Modelled.tell

    def keep(self: modelled.Modelled, outcome: Outcome) -> None:
        told.append(outcome)
        tell(self, outcome)

    monkeypatch.setattr(modelled.Modelled, "tell", keep)
    edit(tiny_space, ("method: grid", "method: nsga2, population: 2, candidates: 4"))
    records, _ = run_all(tiny_space)
    arms = [ask.arm for ask in records.asks]
    assert len(told) == 4
    for outcome in told:
        trials = [t for t in records.trials.values() if t.arm == arms[outcome.number]]
        holdout = sum(t.metrics["holdout.top1"] for t in trials) / len(trials)
        assert outcome.values == pytest.approx((holdout, trials[0].metrics["flops"]))


def test_the_study_folder_is_locked_while_it_runs(tiny_space: Path) -> None:
    """A second start of a running study is refused, and the first goes on."""
    space = load_space(tiny_space)
    with open_study(space, context_of(space), Log(), engine="serial") as driver:
        run_plans(driver, 1)
        with (
            pytest.raises(StudyError, match="is being run by process"),
            open_study(space, context_of(space), Log(), engine="serial"),
        ):
            pass
        run_plans(driver, 1)
    assert len(read_records(STUDIES / "tiny").trials) == 2


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Leave the number of threads as it was."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
