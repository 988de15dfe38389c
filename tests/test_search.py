"""Every method: members of the space, no repeats, a clean end, and the same path after a kill."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gmsearch.search import SAMPLERS, Outcome, Proposal, sampler
from gmsearch.space import METHODS as METHOD_ROWS
from gmsearch.space import Choice, Parameter, Space
from gmsearch.spacefile import load_space

METHODS = tuple(SAMPLERS)
SEARCHES = tuple(name for name in METHODS if METHOD_ROWS[name].selects)

FINITE = """
study: finite
model:
  family: gmnet
  widths: [8, {int: [8, 24], step: 8}]
  depths: {choice: [[1, 1], [1, 2]]}
  layer_scale: {choice: [none, 1e-6]}
  gate:
    product: {choice: [none, self, dw]}
    kernel_size: {choice: [3, 5, 7], when: {gate.product: dw}, else: 3}
    activation: {choice: [relu6, gelu]}
baseline: {widths.1: 16, depths: [1, 2], layer_scale: 1e-6, gate.product: self,
           gate.activation: gelu}
forbid:
  - {gate.product: none, gate.activation: relu6}
data: {name: spectral}
train: {epochs: 1}
objectives: {top1: maximize, flops: minimize}
search: {method: METHOD, seeds: [0], candidates: 1000, seed: 3}
"""

OPEN = """
study: open
model:
  family: gmnet
  widths: [{int: [4, 64], log: true}, 16]
  depths: [1, 1]
  gate: {product: self, activation: {choice: [identity, relu6, gelu]}}
train:
  epochs: 1
  lr: {float: [1e-4, 1e-1], log: true}
  weight_decay: {float: [0, 0.1]}
data: {name: spectral}
objectives: {top1: maximize, flops: minimize}
search: {method: METHOD, seeds: [0], candidates: 1000, seed: 3}
"""

TREES = """
study: trees
model:
  choice:
    small:
      family: gmnet
      widths: [8]
      depths: [{int: [1, 3]}]
    large:
      family: gmnet
      widths: [16, {choice: [16, 32]}]
      depths: [1, {choice: [1, 2]}]
train: {epochs: 1}
baseline: {model: small, small.depths.0: 2}
data: {name: spectral}
objectives: {top1: maximize, flops: minimize}
search: {method: METHOD, seeds: [0], candidates: 1000, seed: 3}
"""

Judge = Callable[[Proposal], Outcome]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Space]:
    """Return a function from the text of a space file, and a method, to the space."""

    def load(text: str, method: str, **changes: str) -> Space:
        path = tmp_path / "space.yaml"
        text = text.replace("METHOD", method)
        for old, new in changes.items():
            text = text.replace(old, new)
        if method not in SEARCHES:
            text = text.replace("candidates: 1000, ", "")
        path.write_text(text)
        return load_space(path)

    return load


def number(assignment: Any) -> float:
    """Return a number in 0..1 that depends on the assignment alone."""
    text = json.dumps(dict(assignment), sort_keys=True)
    return (sum(ord(letter) * i for i, letter in enumerate(text)) % 997) / 996


def judged(proposal: Proposal) -> Outcome:
    """Return an outcome of every kind, decided by the assignment."""
    value = number(proposal.assignment)
    n = proposal.number
    if value < 0.1:
        return Outcome(number=n, state="failed")
    if value < 0.2:
        return Outcome(number=n, state="pruned")
    if value < 0.4:
        return Outcome(number=n, state="infeasible", violations=(value, 2.0))
    return Outcome(number=n, state="complete", values=(value, 1e6 * value), violations=(-value,))


def stored(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return proposals as they come back from the lines of a ledger."""
    read = []
    for proposal in proposals:
        tree = json.loads(json.dumps(dataclasses.asdict(proposal)))
        params = {k: tuple(v) if isinstance(v, list) else v for k, v in tree["assignment"].items()}
        read.append(
            Proposal(number=tree["number"], assignment=params, attributes=tree["attributes"])
        )
    return read


def played(space: Space, budget: int, judge: Judge = judged, *, kills: bool = False) -> list[Any]:
    """Return what is proposed for a budget; with `kills`, by a new sampler for every batch."""
    asks: list[Proposal] = []
    outcomes: list[Outcome] = []
    searcher = sampler(space)
    while len(asks) < budget:
        if kills:
            searcher = sampler(space)
            searcher.replay(stored(asks), outcomes)
        batch = searcher.ask(budget - len(asks))
        if not batch:
            break
        asks += batch
        for proposal in batch:
            outcomes.append(judge(proposal))
            searcher.tell(outcomes[-1])
    return asks


def check_members(space: Space, proposals: Sequence[Proposal]) -> None:
    """Assert that proposals are numbered, distinct, allowed, fitting members of the space."""
    domains = {parameter.path: parameter.domain for parameter in space.parameters}
    assert [p.number for p in proposals] == list(range(len(proposals)))
    arms = [space.arm(p.assignment).digest for p in proposals]
    assert len(set(arms)) == len(arms)
    for proposal in proposals:
        assert not space.forbidden(proposal.assignment)
        given = proposal.assignment
        assert space.draw(lambda parameter, given=given: given[parameter.path]) == given
        for path, value in given.items():
            assert domains[path].member(value) == value
            assert type(domains[path].member(value)) is type(value)


def arms_of(space: Space) -> set[str]:
    """Return the arms of a finite space, by brute force over its assignments."""
    return {
        space.arm(assignment).digest
        for assignment in space.assignments()
        if not space.forbidden(assignment)
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", [FINITE, TREES], ids=["finite", "trees"])
def test_members_once_then_a_clean_end(load: Callable[..., Space], text: str, method: str) -> None:
    """A method proposes members, each arm once, to the last one of the space, and then none."""
    space = load(text, method)
    proposals = played(space, 10_000)

    check_members(space, proposals)
    arms = {space.arm(p.assignment).digest for p in proposals}
    if method == "ablation":
        assert arms <= arms_of(space)
    else:
        assert arms == arms_of(space)
    assert proposals[0].assignment == space.baseline
    searcher = sampler(space)
    searcher.replay(stored(proposals), [judged(p) for p in proposals])
    assert searcher.ask() == searcher.ask(5) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", [FINITE, TREES], ids=["finite", "trees"])
def test_interrupted_equals_undisturbed(
    load: Callable[..., Space], text: str, method: str
) -> None:
    """A new process for every batch proposes what one process would, attributes included."""
    space = load(text, method)

    assert played(space, 70, kills=True) == played(space, 70)


@pytest.mark.parametrize("method", SEARCHES)
def test_interrupted_equals_undisturbed_without_end(
    load: Callable[..., Space], method: str
) -> None:
    """The same in a space with continuous domains, where no repeat hides a wrong seed."""
    space = load(OPEN, method)
    proposals = played(space, 90)

    check_members(space, proposals)
    assert len(proposals) == 90
    assert played(space, 90, kills=True) == proposals


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cut", [1, 5, 9])
@pytest.mark.parametrize("known", [0, 3, 9])
def test_interrupted_anywhere(
    load: Callable[..., Space], method: str, cut: int, known: int
) -> None:
    """Killed within a batch, some outcomes known: later proposals are new members."""
    space = load(FINITE, method)
    before = stored(played(space, 9)[:cut])
    searcher = sampler(space)
    searcher.replay(before, [judged(p) for p in before[:known]])

    after = searcher.ask(8)

    assert after
    check_members(space, [*before, *after])


@pytest.mark.parametrize("method", ["grid", "ablation", "random"])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_batches_do_not_matter(load: Callable[..., Space], method: str, size: int) -> None:
    """Methods that learn nothing propose the same sequence, however it is cut into batches."""
    space = load(FINITE, method)
    whole = played(space, 20)
    searcher = sampler(space)

    parts = [p for _ in range(20) for p in searcher.ask(size)]

    assert parts[: len(whole)] == whole


@pytest.mark.parametrize("method", SEARCHES)
def test_resumed_does_not_propose_its_start_again(load: Callable[..., Space], method: str) -> None:
    """A resumed sampler of the same seed does not draw its first candidates a second time."""
    space = load(OPEN, method)
    first = sampler(space).ask(5)
    searcher = sampler(space)
    searcher.replay(stored(first), [judged(p) for p in first])

    again = searcher.ask(5)

    rates = [p.assignment["train.lr"] for p in (*first, *again)]
    assert len(set(rates)) == len(rates)


@pytest.mark.parametrize("method", SEARCHES)
def test_seeds_differ(load: Callable[..., Space], method: str) -> None:
    """The seed of the search decides the sequence, and nothing else does."""
    one = played(load(OPEN, method), 20)
    same = played(load(OPEN, method), 20)
    other = played(load(OPEN, method, **{"seed: 3": "seed: 4"}), 20)

    assert one == same
    assert all(p.assignment != q.assignment for p, q in zip(one, other, strict=True))


def test_grid_is_the_file_in_order(load: Callable[..., Space]) -> None:
    """The grid is the baseline, then the full factorial in file order without what was said."""
    space = load(FINITE, "grid")
    proposals = [p.assignment for p in played(space, 10_000)]

    assert proposals[0] == space.baseline
    order = list(space.assignments())
    places = [order.index(assignment) for assignment in proposals[1:]]
    assert places == sorted(places)
    # By hand: widths 3 x depths 2 x scale 2 x (none 1, self 2, dw 3 x 2); forbidden none+relu6.
    assert len(proposals) == 3 * 2 * 2 * (1 + 2 + 6)


def test_grid_is_lazy(load: Callable[..., Space], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for few of a long list reads few of it."""
    space = load(FINITE, "grid")
    read = []
    whole = Space.assignments

    def counted(self: Space) -> Iterator[Any]:
        for assignment in whole(self):
            read.append(assignment)
            yield assignment

    monkeypatch.setattr(Space, "assignments", counted)

    assert len(sampler(space).ask(3)) == 3
    # The baseline and two more, behind at most the six forbidden ones that stand before them.
    assert len(read) < 10


def test_ablation_changes_one_factor(load: Callable[..., Space]) -> None:
    """Every other value of each parameter of the baseline, in order, the rest as it was.

    A parameter that only the change makes active takes each of its values.
    """
    space = load(FINITE, "ablation")
    baseline = space.baseline
    assert baseline is not None
    changes = [
        {path: value for path, value in p.assignment.items() if baseline.get(path) != value}
        for p in played(space, 10_000)
    ]

    assert changes == [
        {},
        {"widths.1": 8},
        {"widths.1": 24},
        {"depths": (1, 1)},
        {"layer_scale": None},
        {"gate.product": "none"},
        {"gate.product": "dw", "gate.kernel_size": 3},
        {"gate.product": "dw", "gate.kernel_size": 5},
        {"gate.product": "dw", "gate.kernel_size": 7},
        {"gate.activation": "relu6"},
    ]


def test_ablation_of_subtrees(load: Callable[..., Space]) -> None:
    """Another subtree comes with all combinations of what only it has."""
    space = load(TREES, "ablation")
    shown = [dict(p.assignment) for p in played(space, 10_000)]

    assert shown[:3] == [
        {"model": "small", "small.depths.0": 2},
        {"model": "large", "large.widths.1": 16, "large.depths.1": 1},
        {"model": "large", "large.widths.1": 16, "large.depths.1": 2},
    ]
    assert len(shown) == 1 + 4 + 2


def test_random_is_uniform(load: Callable[..., Space]) -> None:
    """Draws are even over options, and over the logarithm where the domain says so."""
    space = load(OPEN, "random")
    proposals = [p.assignment for p in sampler(space).ask(2000)]

    for option in ("identity", "relu6", "gelu"):
        share = sum(a["gate.activation"] == option for a in proposals) / 2000
        assert share == pytest.approx(1 / 3, abs=0.05)
    # Half of log [1e-4, 1e-1] lies below 10^-2.5, half of log [4, 64] below 16.
    assert sum(a["train.lr"] < 10**-2.5 for a in proposals) / 2000 == pytest.approx(0.5, abs=0.05)
    assert sum(a["widths.0"] < 16 for a in proposals) / 2000 == pytest.approx(0.5, abs=0.05)
    assert sum(a["train.weight_decay"] < 0.05 for a in proposals) / 2000 == pytest.approx(
        0.5, abs=0.05
    )
    assert {a["widths.0"] for a in proposals} == set(range(4, 65))


SINGLE = """
study: single
model: {family: gmnet, widths: [8], depths: [1]}
train: {epochs: 1}
data: {name: spectral}
objectives: {top1: maximize, flops: minimize}
search: {method: METHOD, seeds: [0], candidates: 1000, seed: 3}
"""


@pytest.mark.parametrize("name", ["gate_ablation", "imagenette32_gate", "gmnet_search"])
def test_our_own_spaces(name: str) -> None:
    """The spaces that come with the project can be asked, and resumed, by their own method."""
    space = load_space(Path(__file__).parent.parent / "spaces" / f"{name}.yaml")

    def judge(proposal: Proposal) -> Outcome:
        values = tuple(number(proposal.assignment) for _ in space.objectives)
        return Outcome(number=proposal.number, state="complete", values=values)

    proposals = played(space, 40, judge)

    check_members(space, proposals)
    assert played(space, 40, judge, kills=True) == proposals


@pytest.mark.parametrize("method", ["grid", *SEARCHES])
def test_a_space_of_one(load: Callable[..., Space], method: str) -> None:
    """A space without parameters holds one arm, and then the search is over."""
    space = load(SINGLE, method)

    assert [p.assignment for p in played(space, 10)] == [{}]


@pytest.mark.parametrize("method", SEARCHES)
def test_a_space_that_is_all_forbidden_ends(load: Callable[..., Space], method: str) -> None:
    """Where every draw is forbidden, a bounded number of draws ends the search."""
    space = load(FINITE, method)
    first = space.parameters[0]
    everything = tuple({first.path: value} for value in first.domain.values() or ())
    space = dataclasses.replace(space, baseline=None, forbid=everything)

    assert sampler(space).ask() == []


@pytest.mark.parametrize("method", METHODS)
def test_values_that_do_not_fit_are_skipped(
    load: Callable[..., Space], caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """An assignment that no network has is skipped, and its reason is logged once."""
    space = load(FINITE, method)
    negative = {p.path: p for p in space.parameters}["layer_scale"]
    negative = dataclasses.replace(negative, domain=Choice(options=(-1.0, 1e-6)))

    def replaced(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
        return tuple(negative if p.path == negative.path else p for p in parameters)

    space = dataclasses.replace(
        space, parameters=replaced(space.parameters), order=replaced(space.order)
    )
    with caplog.at_level(logging.WARNING):
        proposals = played(space, 10_000)

    check_members(space, proposals)
    assert caplog.text.count("layer_scale: expected a number above 0") == 1
    if method != "ablation":
        assert len(proposals) == 3 * 2 * 9


def test_listed_and_random_methods_leave_optuna_alone() -> None:
    """Optuna is loaded for its own methods only; torch and ray for none."""
    code = "import sys, gmsearch.search; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "gmsearch.search.modelled" in loaded
    assert {"optuna", "torch", "ray"}.isdisjoint(loaded)


def test_every_method_has_a_sampler() -> None:
    """The rows that a space file names are the rows that propose."""
    assert list(SAMPLERS) == list(METHOD_ROWS)
