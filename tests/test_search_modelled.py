"""TPE and NSGA-II through Optuna: what they are told, how they resume, and whether they search."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from gmsearch import pareto
from gmsearch.search import Outcome, Proposal, Sampler, sampler
from gmsearch.search.modelled import POPULATION, TPE_BATCH, distribution, encode, suggest
from gmsearch.seeds import sampler_seed
from gmsearch.space import Choice, Float, Int, Parameter, Space
from gmsearch.spacefile import load_space

# Exhaustive loops: tracing each of their steps more than doubles their time, and shows nothing
# that the other tests of these modules do not cover.
pytestmark = pytest.mark.no_cover

GENERATION = "NSGAIISampler:generation"

SPACE = """
study: toy
model:
  family: gmnet
  widths: [{int: [4, 64], step: 4}, {int: [4, 64], step: 4}, {int: [4, 64], log: true}]
  depths: [{int: [1, 8]}, 1, 1]
  kernel_size: {choice: [3, 5, 7, 9]}
  gate:
    product: {choice: [none, self, dw]}
    kernel_size: {choice: [3, 5, 7], when: {gate.product: dw}, else: 3}
train:
  epochs: 1
  lr: {float: [1e-4, 1e-1], log: true}
  weight_decay: {float: [0, 0.1], steps: 11}
data: {name: spectral}
objectives: {top1: maximize, flops: minimize}
search: {method: METHOD, seeds: [0], candidates: 1000, seed: SEED}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Space]:
    """Return a function from a method and changes of the text to the space."""

    def load(method: str, seed: int = 0, **changes: str) -> Space:
        text = SPACE.replace("METHOD", method).replace("SEED", str(seed))
        for old, new in changes.items():
            text = text.replace(old, new)
        path = tmp_path / "space.yaml"
        path.write_text(text)
        return load_space(path)

    return load


def toy(assignment: Any) -> tuple[float, float]:
    """Return two objectives in conflict, the first to be large, the second small.

    Both pay for being off a line along which one is traded for the other.
    """
    widths = [assignment[f"widths.{i}"] / 64 for i in range(3)]
    along = sum(widths) / 3
    off = sum((width - along) ** 2 for width in widths)
    off += (assignment["depths.0"] - 4) ** 2 / 16
    off += (math.log10(assignment["train.lr"]) + 2.5) ** 2
    off += (assignment["train.weight_decay"] - 0.05) ** 2 * 100
    off += {"none": 1.0, "self": 0.0, "dw": 0.5}[assignment["gate.product"]]
    off += abs(assignment["kernel_size"] - 5) / 4
    return math.sqrt(along) - off, along + off


def told(searcher: Sampler, batch: Sequence[Proposal]) -> list[Outcome]:
    """Tell the toy's values of a batch, and return them."""
    outcomes = [
        Outcome(number=p.number, state="complete", values=toy(p.assignment)) for p in batch
    ]
    for outcome in outcomes:
        searcher.tell(outcome)
    return outcomes


def searched(space: Space, budget: int) -> tuple[list[Proposal], list[Outcome]]:
    """Return what is proposed and told within a budget."""
    searcher = sampler(space)
    asks: list[Proposal] = []
    outcomes: list[Outcome] = []
    while len(asks) < budget:
        batch = searcher.ask(budget - len(asks))
        asks += batch
        outcomes += told(searcher, batch)
    return asks, outcomes


def replayed(space: Space, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> Sampler:
    """Return a new sampler that took up what came back from a ledger."""
    searcher = sampler(space)
    lines = [json.loads(json.dumps(dataclasses.asdict(ask))) for ask in asks]
    searcher.replay([Proposal(**line) for line in lines], outcomes)
    return searcher


def test_resumed_nsga2_keeps_its_generation(load: Callable[..., Space]) -> None:
    """After a kill the generation goes on where it was, and the children have the same parents."""
    space = load("nsga2", **{"method: nsga2": "method: nsga2, population: 8"})
    asks, outcomes = searched(space, 32)
    undisturbed = searched(space, 40)[0][32:]

    resumed = replayed(space, asks, outcomes).ask()

    assert [p.attributes[GENERATION] for p in asks] == [g for g in range(4) for _ in range(8)]
    assert [p.attributes[GENERATION] for p in resumed] == [4] * 8
    assert resumed == undisturbed
    # The control: Optuna, told parameters and values alone, begins at generation 0 again.
    bare = [dataclasses.replace(ask, attributes={GENERATION: 0}) for ask in asks]
    assert replayed(space, bare, outcomes).ask()[0].attributes[GENERATION] == 1


def test_generation_is_filled_before_the_next(load: Callable[..., Space]) -> None:
    """What is infeasible, pruned or failed leaves its place in the generation to another."""
    space = load("nsga2", **{"method: nsga2": "method: nsga2, population: 8"})
    searcher = sampler(space)
    first = searcher.ask()
    assert len(first) == 8
    states: Any = ["infeasible", "failed", "pruned", "infeasible", "complete", "complete"]
    for proposal, state in zip(first, states, strict=False):
        values = toy(proposal.assignment) if state == "complete" else None
        searcher.tell(Outcome(number=proposal.number, state=state, values=values))
    told(searcher, first[6:])

    second = searcher.ask()
    assert len(second) == 4
    assert {p.attributes[GENERATION] for p in second} == {0}
    told(searcher, second)
    assert {p.attributes[GENERATION] for p in searcher.ask()} == {1}


def test_population_by_default(load: Callable[..., Space]) -> None:
    """Without a population in the file there is one, and it is the batch."""
    assert len(sampler(load("nsga2")).ask()) == POPULATION
    assert len(sampler(load("nsga2")).ask(3)) == 3


def test_batch_of_tpe_is_fixed(load: Callable[..., Space]) -> None:
    """A batch of TPE is the same on every machine, and n only shortens it."""
    assert len(sampler(load("tpe")).ask()) == TPE_BATCH
    assert len(sampler(load("tpe")).ask(3)) == 3
    assert len(sampler(load("tpe")).ask(100)) == TPE_BATCH


def test_a_fresh_optuna_sampler_would_repeat_itself(load: Callable[..., Space]) -> None:
    """The trap is real: the same seed on a rebuilt study draws the same start; ours does not."""
    space = load("tpe")
    asks = sampler(space).ask(5)
    searcher: Any = sampler(space)
    searcher.replay(asks, [])
    trap = searcher._study(sampler_seed(0, 0))
    safe = searcher._study(sampler_seed(0, 5))

    rates = [ask.assignment["train.lr"] for ask in asks]
    # In the order of the space, as the draws were made.
    assert [searcher._ask(trap).assignment["train.lr"] for _ in range(5)] == rates
    assert not {searcher._ask(safe).assignment["train.lr"] for _ in range(5)} & set(rates)


@pytest.mark.parametrize("method", ["tpe", "nsga2"])
def test_pruned_with_several_objectives(load: Callable[..., Space], method: str) -> None:
    """Outcomes without values are told although there are several objectives."""
    space = load(method)
    searcher = sampler(space)
    for _ in range(4):
        batch = searcher.ask()
        told(searcher, batch[::2])
        for proposal in batch[1::2]:
            searcher.tell(Outcome(number=proposal.number, state="pruned"))

    assert searcher.ask()


def test_tpe_learns_from_the_infeasible(load: Callable[..., Space]) -> None:
    """Told nothing but by how much constraints are broken, TPE goes where they are broken less."""
    starts, ends = [], []
    for seed in range(2):
        searcher = sampler(load("tpe", seed))
        widths: list[int] = []
        for _ in range(10):
            for proposal in searcher.ask():
                width = proposal.assignment["widths.0"]
                assert isinstance(width, int)
                widths.append(width)
                searcher.tell(
                    Outcome(number=proposal.number, state="infeasible", violations=(1e5 * width,))
                )
        starts += widths[:16]
        ends += widths[-32:]

    assert np.mean(starts) > 25
    assert np.mean(ends) < 0.6 * np.mean(starts)


def test_infeasible_is_unseen_by_nsga2(load: Callable[..., Space]) -> None:
    """The children of NSGA-II are those of the feasible, whatever the infeasible were."""
    space = load("nsga2", **{"method: nsga2": "method: nsga2, population: 8"})
    asks, outcomes = searched(space, 8)
    extra = sampler(load("nsga2", seed=9)).ask(4)
    offset = [dataclasses.replace(p, number=8 + i) for i, p in enumerate(extra)]
    infeasible = [Outcome(number=p.number, state="infeasible", violations=(1e6,)) for p in offset]

    seen: Any = replayed(space, [*asks, *offset], [*outcomes, *infeasible])
    plain: Any = replayed(space, asks, outcomes)
    children = [
        [searcher._ask(searcher._study(seed=5)).assignment for _ in range(1)]
        for searcher in (seen, plain)
    ]

    assert children[0] == children[1]


@pytest.mark.parametrize("method", ["tpe", "nsga2"])
def test_broken_constraints_of_trained_arms(load: Callable[..., Space], method: str) -> None:
    """A complete arm that breaks a constraint is no best trial, and its region is left."""
    space = load(method, seed=1)
    searcher: Any = sampler(space)
    dw = []
    for _ in range(15):
        batch = searcher.ask(8)
        for proposal in batch:
            broken = proposal.assignment["gate.product"] == "dw"
            dw.append(broken)
            # Without the constraint these would be best.
            values = (9.0, 0.0) if broken else toy(proposal.assignment)
            searcher.tell(
                Outcome(
                    number=proposal.number,
                    state="complete",
                    values=values,
                    violations=(-0.5, 0.2 if broken else -0.1),
                )
            )

    assert any(dw)
    assert np.mean(dw[-40:]) < 0.25
    best = searcher._study(seed=0).best_trials
    assert best
    assert all(trial.values != [9.0, 0.0] for trial in best)


@pytest.mark.parametrize("method", ["tpe", "nsga2"])
def test_best_trials_are_our_front(load: Callable[..., Space], method: str) -> None:
    """Optuna's best trials are our non-dominated set; what is not complete is not among them."""
    space = load(method)
    searcher: Any = sampler(space)
    asks, outcomes = searched(space, 60)
    cut = [Outcome(number=o.number, state="pruned") if o.number % 7 == 0 else o for o in outcomes]
    searcher.replay(asks, cut)

    best = {trial.number for trial in searcher._study(seed=0).best_trials}

    complete = [o for o in cut if o.values is not None]
    signs = [objective.sign for objective in space.objectives]
    mask = pareto.front(
        [[s * v for s, v in zip(signs, o.values or (), strict=True)] for o in complete]
    )
    assert best == {o.number for o, kept in zip(complete, mask, strict=True) if kept}


def test_searches_beat_random(load: Callable[..., Space]) -> None:
    """With equal budgets TPE and NSGA-II find better fronts than random draws, in the mean."""
    volume = {}
    for method in ("random", "tpe", "nsga2"):
        found = []
        for seed in range(4):
            _, outcomes = searched(load(method, seed), 100)
            points = [(-o.values[0], o.values[1]) for o in outcomes if o.values is not None]
            found.append(pareto.hypervolume(points, (3.0, 3.0)))
        volume[method] = np.mean(found)

    assert volume["tpe"] > 1.1 * volume["random"]
    assert volume["nsga2"] > 1.1 * volume["random"]


def test_one_objective(load: Callable[..., Space]) -> None:
    """A single objective, to be large, is learnt in its direction."""
    space = load("tpe", **{"top1: maximize, flops: minimize": "top1: maximize"})
    searcher = sampler(space)
    depths = []
    for _ in range(10):
        for proposal in searcher.ask():
            depth = proposal.assignment["depths.0"]
            depths.append(depth)
            searcher.tell(
                Outcome(number=proposal.number, state="complete", values=(float(depth),))
            )

    assert np.mean(depths[-24:]) > np.mean(depths[:16]) + 1.5


def test_values_survive_optuna() -> None:
    """Every value survives the way to Optuna and back, with its type, also where 1 == True."""
    domains = [
        Choice(options=(1, True, 0, False, None, "1")),
        Choice(options=((1, 2), (3, 4), "all")),
        Int(low=3, high=9, step=3),
        Int(low=1, high=64, log=True),
        Float(low=1e-4, high=1e-1, log=True, steps=5),
        Float(low=0.0, high=1.0, steps=3),
        Float(low=1e-4, high=1e-1, log=True),
    ]
    for domain in domains:
        study = optuna.create_study()
        for value in domain.values() or (1e-4, 0.0123456789, 1e-1):
            study.enqueue_trial({"x": encode(domain, value)})
            trial = study.ask()

            back = suggest(trial, Parameter(path="x", domain=domain))

            assert back == value
            assert type(back) is type(value)
            assert trial.distributions == {"x": distribution(domain)}


def test_optuna_is_quiet_and_left_as_it_was(
    load: Callable[..., Space], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a line nor a warning of Optuna's; its logger and the filters stay as they were."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    logger = logging.getLogger("optuna")
    # Optuna's messages need not reach the root logger, which is what caplog listens to.
    logger.addHandler(caplog.handler)
    before = (logger.level, list(logger.handlers), logger.propagate, list(warnings.filters))
    try:
        searched(load("tpe"), 24)
        assert caplog.records == []
        optuna.create_study()
        assert "A new study created" in caplog.text
        after = (logger.level, list(logger.handlers), logger.propagate, list(warnings.filters))
        assert before == after
    finally:
        logger.removeHandler(caplog.handler)
        optuna.logging.set_verbosity(verbosity)


def test_attributes_are_small(load: Callable[..., Space]) -> None:
    """A proposal's line in the ledger stays short: no parameters twice."""
    for method in ("tpe", "nsga2"):
        asks, _ = searched(load(method), 40)
        assert all(len(json.dumps(dict(ask.attributes))) < 60 for ask in asks)
