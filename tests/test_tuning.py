"""Training values chosen on the holdout, and costs matched, in the loop of a study."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from small_studies import Log, edit

from gmsearch import runner
from gmsearch.driver import Driver, open_study
from gmsearch.driver.preflight import inspect_run
from gmsearch.experiment import Plan, TrainingPlan, TrialPlan, TuningPlan
from gmsearch.ledger import STUDIES, Records, read_records, spool
from gmsearch.networks import candidate_from, cost
from gmsearch.records import Failure, State
from gmsearch.space import Space
from gmsearch.spacefile import load_space

LR = ("search:", "tune: {lr: [1e-3, 1e-2, 3e-3]}\nsearch:")
ONE_EPOCH = (("epochs: 2", "epochs: 1"), ("seeds: [0, 1]", "seeds: [0]"))


def opened(space: Space, log: Log | None = None) -> Any:
    """Open the study of a space."""
    facts = inspect_run(space, Path("tiny.yaml"))
    return open_study(space, facts, log or Log(), engine="serial")


def train(path: Path, most: int = 1000) -> tuple[Records, Log]:
    """Run at most so many plans of the space, for real."""
    space, log = load_space(path), Log()
    with opened(space, log) as driver:
        while len(log.plans) < most and (plan := driver.next()) is not None:
            list(runner.run(plan))
            driver.finish(plan)
    return read_records(STUDIES / space.study), log


def finish_with(driver: Driver, plan: Plan, value: float | Failure) -> None:
    """End a plan with this for every metric, or as this failure, the way a worker would."""
    names = ("holdout.top1", "holdout.loss", "top1", "low@4", "high@4")
    assert isinstance(plan, TrainingPlan)
    if isinstance(value, Failure):
        record = plan.failed(value, "as told")
    else:
        known = plan.known if isinstance(plan, TrialPlan) else {}
        record = plan.completed({**dict.fromkeys(names, value), **known})
    spool(Path(plan.study_dir), record)
    driver.finish(plan)


def play(path: Path, score: Any) -> tuple[Records, list[Plan]]:
    """Run a study whose metrics are made up; `score` gives a tuning's or raises a failure."""
    space, log, plans = load_space(path), Log(), []
    with opened(space, log) as driver:
        while (plan := driver.next()) is not None:
            plans.append(plan)
            value = score(plan) if isinstance(plan, TuningPlan) else 0.5
            finish_with(driver, plan, value)
        assert driver.finished
    return read_records(STUDIES / space.study), plans


def meaning(records: Records) -> dict[str, Any]:
    """Return the trials, tunings and choices without what belongs to a start."""
    trials = {**records.trials, **records.tuning}
    both = {**trials, **records.tuned}
    return {key: {**record.to_json(), "run": 0, "seconds": 0} for key, record in both.items()}


def tuned_lr(records: Records) -> list[float]:
    """Return the rates of the trials, by arm in the order they were trained."""
    return [trial.recipe["lr"] for trial in records.trials.values() if trial.seed == 0]


def test_every_arm_is_trained_with_its_best_rate(tiny_space: Path) -> None:
    """Each value once per arm with a seed of its own, then every seed with the value chosen."""
    edit(tiny_space, LR)
    best = {"none relu6": 1e-2, "none gelu": 1e-3, "self relu6": 3e-3, "self gelu": 1e-2}

    def name(plan: Plan) -> str:
        return " ".join(str(value) for value in plan.params.values())

    records, plans = play(tiny_space, lambda p: float(p.arm.recipe.lr == best[name(p)]))
    tunings = [plan for plan in plans if isinstance(plan, TuningPlan)]
    assert plans[: len(tunings)] == tunings
    tried = [(name(plan), plan.arm.recipe.lr) for plan in tunings]
    assert tried == list(itertools.product(best, [1e-3, 1e-2, 3e-3]))
    assert {plan.seed for plan in tunings} == {2**32 - 1}
    trained = {name(plan): plan.arm.recipe.lr for plan in plans if isinstance(plan, TrialPlan)}
    assert trained == best
    assert [plan.seed for plan in plans if isinstance(plan, TrialPlan)] == [0] * 4 + [1] * 4
    assert {trial.seed for trial in records.trials.values()} == {0, 1}
    assert [(tuned.chosen or {})["lr"] for tuned in records.tuned.values()] == list(best.values())
    edges = [tuned.edges.get("lr") for tuned in records.tuned.values()]
    assert edges == ["highest", "lowest", None, "highest"]


def test_one_rate_for_all_is_the_best_in_the_mean(tiny_space: Path) -> None:
    """A rate that is best for one arm alone loses to one that is good for all."""
    edit(tiny_space, ("search:", "tune: {lr: [1e-3, 1e-2, 3e-3], per: study}\nsearch:"))

    def score(plan: Plan) -> float:
        if plan.arm.recipe.lr == 1e-3:
            return 1.0 if plan.params["gate.activation"] == "relu6" else 0.0
        return 0.6 if plan.arm.recipe.lr == 3e-3 else 0.1

    records, _ = play(tiny_space, score)
    assert set(tuned_lr(records)) == {3e-3}
    (tuned,) = records.tuned.values()
    assert [tried.mean for tried in tuned.tried] == pytest.approx([0.5, 0.1, 0.6])


@pytest.mark.parametrize(
    ("tune", "score", "chosen"),
    [
        ("lr: [1e-3, 1e-2, 3e-3]", lambda _: 0.4, 3e-3),
        ("lr: [1e-2, 1e-3]", lambda _: 0.4, 1e-3),
        ("lr: [1e-3, 1e-2], metric: loss", lambda p: p.arm.recipe.lr, 1e-3),
        ("lr: [1e-3, 1e-2]", lambda p: p.arm.recipe.lr, 1e-2),
        (
            "lr: [1e-3, 1e-2]",
            lambda p: Failure.DIVERGED if p.arm.recipe.lr == 1e-2 else 0.0,
            1e-3,
        ),
        (
            "lr: [1e-3, 1e-2]",
            lambda p: Failure.OOM if p.arm.recipe.lr == 1e-2 else 0.0,
            1e-3,
        ),
    ],
    ids=["tie: own", "tie: nearest", "loss", "top1", "diverged", "memory"],
)
def test_what_is_chosen(tiny_space: Path, tune: str, score: Any, chosen: float) -> None:
    """The best; of equal ones the nearest to the recipe's own; never one that failed."""
    edit(tiny_space, *ONE_EPOCH, ("search:", f"tune: {{{tune}}}\nsearch:"))
    records, plans = play(tiny_space, score)
    assert tuned_lr(records) == [chosen] * 4
    attempts = max(plan.attempt for plan in plans)
    assert attempts == (3 if score(plans[1]) is Failure.OOM else 1)


@pytest.mark.parametrize("per", ["arm", "study"])
def test_an_arm_that_no_value_trains_is_left_out(
    tiny_space: Path, per: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a record and a remark; the others are trained."""
    edit(tiny_space, *ONE_EPOCH, ("search:", f"tune: {{lr: [1e-3, 1e-2], per: {per}}}\nsearch:"))

    def score(plan: Plan) -> float | Failure:
        broken = plan.params["gate.activation"] == "gelu"
        return Failure.DIVERGED if broken or per == "study" else 0.5

    records, plans = play(tiny_space, score)
    lost = [tuned for tuned in records.tuned.values() if tuned.chosen is None]
    trained = [plan.params["gate.activation"] for plan in plans if isinstance(plan, TrialPlan)]
    assert trained == ([] if per == "study" else ["relu6", "relu6"])
    assert len(lost) == (1 if per == "study" else 2)
    assert sum("no value of lr could be trained" in line for line in caplog.messages) == len(lost)
    space = load_space(tiny_space)
    with opened(space) as driver:
        driver.advance()
        assert driver.finished
        assert driver.untrained == len(lost)


METHODS = {
    "grid": "method: grid",
    "ablation": "method: ablation",
    "random": "method: random, candidates: 4",
    "tpe": "method: tpe, candidates: 4",
    "nsga2": "method: nsga2, population: 2, candidates: 4",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("per", ["arm", "study"])
def test_an_interrupted_tuning_ends_as_one_that_was_not(
    tiny_space: Path, method: str, per: str
) -> None:
    """Abandoned after any number of plans, the same trials, choices and asks; nothing twice."""
    edit(
        tiny_space,
        *ONE_EPOCH,
        ("method: grid", METHODS[method]),
        ("search:", f"tune: {{lr: [1e-3, 1e-2], per: {per}}}\nsearch:"),
    )

    def score(plan: Plan) -> float:
        return int(plan.key[:6], 16) / 16**6

    undisturbed, _ = play(tiny_space, score)
    edit(tiny_space, ("study: tiny", "study: disturbed"))
    space = load_space(tiny_space)
    keys: list[str] = []
    for plans in (1, 0, 4, 2):
        with opened(space) as driver:
            for _ in range(plans):
                plan = driver.next()
                assert plan is not None
                keys.append(plan.key)
                value = score(plan) if isinstance(plan, TuningPlan) else 0.5
                finish_with(driver, plan, value)
            driver.next()
    disturbed, rest = play(tiny_space, score)
    keys += [plan.key for plan in rest]
    assert len(keys) == len(set(keys)) == len(disturbed.trials) + len(disturbed.tuning)
    assert meaning(disturbed) == meaning(undisturbed)


def test_a_real_tuning_measures_the_holdout_alone(tiny_space: Path) -> None:
    """Its weights, history and predictions are not kept; its score is a trial's of its seed."""
    edit(tiny_space, *ONE_EPOCH, LR)
    records, log = train(tiny_space)
    assert len(records.tuning) == 12
    for trial in records.tuning.values():
        assert trial.state is State.COMPLETE
        assert all(name.startswith("holdout.") for name in trial.metrics)
        assert "holdout.high@4" not in trial.metrics
    kept = {path.name.partition(".")[0] for path in (records.folder / "weights").iterdir()}
    assert kept == records.trials.keys()
    assert log.counts[0] == (16, 0)
    assert log.counts[-1] == (16, 16)
    assert train(tiny_space)[1].plans == []
    first = next(iter(records.tuning.values()))
    edit(
        tiny_space,
        ("study: tiny", "study: alone"),
        ("seeds: [0]", f"seeds: [{first.seed}]"),
        (LR[1], LR[0]),
        ("lr: 3e-3", f"lr: {first.recipe['lr']}"),
    )
    alone, _ = train(tiny_space)
    same = alone.trials[first.key]
    assert {name: same.metrics[name] for name in first.metrics} == dict(first.metrics)


def test_more_seeds_do_not_tune_again(tiny_space: Path) -> None:
    """The choice holds for seeds that come later."""
    edit(tiny_space, *ONE_EPOCH, LR)
    play(tiny_space, lambda p: p.arm.recipe.lr)
    edit(tiny_space, ("seeds: [0]", "seeds: [0, 1]"))
    _, plans = play(tiny_space, lambda p: p.arm.recipe.lr)
    assert [plan.seed for plan in plans if isinstance(plan, TrialPlan)] == [1] * 4
    assert len(plans) == 4
    assert {plan.arm.recipe.lr for plan in plans} == {1e-2}


def test_matched_arms_cost_what_the_baseline_costs(tiny_space: Path) -> None:
    """What is trained is the matched candidate; what no widths match is recorded, not trained."""
    edit(
        tiny_space,
        *ONE_EPOCH,
        ("choice: [none, self]", "choice: [none, fc, dw]"),
        ("widths: [4, 8]", "widths: [8, 16]"),
        ("search:", "match: {flops: baseline, tolerance: 0.009}\nsearch:"),
    )
    records, plans = play(tiny_space, lambda _: 0.5)
    base = next(t for t in records.trials.values() if t.params["gate.product"] == "none")
    assert base.candidate["widths"] == [8, 16]
    assert {t.params["gate.product"] for t in records.trials.values()} == {"none", "dw"}
    for trial in records.trials.values():
        candidate = candidate_from(trial.candidate)
        assert candidate.family != "timm"
        flops = cost(candidate, num_classes=3, resolution=32).flops
        assert trial.metrics["flops"] == flops
        assert flops == pytest.approx(base.metrics["flops"], rel=0.009)
        assert trial.digest == candidate.digest
    assert [record.params["gate.product"] for record in records.infeasible] == ["fc", "fc"]
    for record in records.infeasible:
        beyond = abs(record.metrics["flops"] - base.metrics["flops"])
        excess = beyond - 0.009 * base.metrics["flops"]
        assert record.violations == {"match.flops": pytest.approx(excess)}
        assert record.digest not in {plan.arm.candidate.digest for plan in plans}


def test_matching_and_tuning_go_together(tiny_space: Path) -> None:
    """The matched candidate is what is tuned and trained; interrupted, it is the same."""
    edit(
        tiny_space,
        *ONE_EPOCH,
        ("choice: [none, self]", "choice: [none, dw]"),
        ("widths: [4, 8]", "widths: [8, 16]"),
        ("search:", "match: {flops: baseline}\ntune: {lr: [1e-3, 1e-2]}\nsearch:"),
    )
    train(tiny_space, 3)
    records, _ = train(tiny_space)
    assert len(records.tuning) == 8
    assert len(records.trials) == 4
    widths = {"none": [8, 16], "dw": [7, 15]}
    for trial in (*records.tuning.values(), *records.trials.values()):
        assert trial.candidate["widths"] == widths[str(trial.params["gate.product"])]
