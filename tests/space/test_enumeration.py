"""Counting, enumerating and drawing, against a definition that goes through everything."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gmsearch.errors import FieldError, SpaceError
from gmsearch.plain import Value
from gmsearch.space import Float, Parameter, Space
from gmsearch.spacefile import load_space

# Exhaustive loops: tracing each of their steps more than doubles their time, and shows nothing
# that the other tests of these modules do not cover.
pytestmark = pytest.mark.no_cover

Tree = dict[str, Any]

# Leaves whose values fit each other whatever they are, two of them in another section.
LEAVES: dict[str, list[Any]] = {
    "kernel_size": [3, 5, [3, 5]],
    "stem": ["imagenet", "cifar"],
    "layer_scale": ["none", 1e-6],
    "gate.product": ["none", "self", "dw"],
    "gate.activation": ["relu", "gelu"],
    "gate.placement": ["input", ["expand", "output"]],
    "train.optimizer": ["adamw", "sgd"],
    "train.epochs": [1, 2],
}
RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Draw a space whose leaves depend on each other at random, without a cycle."""
    chosen = draw(st.lists(st.sampled_from(list(LEAVES)), min_size=1, max_size=5, unique=True))
    domains: dict[str, Tree] = {}
    for index, path in enumerate(chosen):
        domain: Tree = {"choice": LEAVES[path]}
        earlier = (
            draw(st.lists(st.sampled_from(chosen[:index]), max_size=2, unique=True))
            if index
            else []
        )
        if earlier:
            domain["when"] = {
                other: draw(st.sampled_from([*LEAVES[other], LEAVES[other][:2]]))
                for other in earlier
            }
            domain["else"] = LEAVES[path][0]
        domains[path] = domain
    forbid = draw(
        st.lists(
            st.dictionaries(st.sampled_from(chosen), st.integers(0, 1), min_size=1, max_size=3),
            max_size=3,
        )
    )
    model: Tree = {"widths": [8, 16], "depths": [1, 1], "gate": {}}
    if draw(st.booleans()) and not any(path.startswith("gate.") for path in chosen):
        inner = {"product": "self", "activation": {"choice": ["relu6", "gelu"]}}
        model["gate"] = {"choice": {"plain": {"product": "none"}, "gated": inner}}
    train: Tree = {"epochs": 1}
    for path in draw(st.permutations(chosen)):
        *outer, key = path.split(".")
        where = train if outer == ["train"] else model["gate"] if outer else model
        where[key] = domains[path]
    return {
        "study": "drawn",
        "model": model,
        "train": train,
        "forbid": [{path: LEAVES[path][i] for path, i in entry.items()} for entry in forbid],
        "data": {"name": "spectral"},
        "objectives": {"top1": "maximize"},
        "search": {"method": "random", "candidates": 3},
    }


def space_of(tree: Tree, folder: Path) -> Space:
    """Load a tree through its JSON, which is YAML."""
    path = folder / "space.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return load_space(path)


def members(space: Space) -> list[dict[str, Value]]:
    """Return all assignments by definition: a parameter has a value iff its conditions hold."""
    absent = object()
    options = [[*(p.domain.values() or ()), absent] for p in space.parameters]
    found = []
    for values in itertools.product(*options):
        pairs = zip(space.parameters, values, strict=True)
        taken: Any = {p.path: value for p, value in pairs if value is not absent}
        if all((p.path in taken) == p.active(taken) for p in space.parameters):
            found.append(taken)
    return found


@RELAXED
@given(tree=trees())
def test_enumeration_is_exact(tree: Tree, tmp_path: Path) -> None:
    """The full factorial holds every assignment there is, once, in the order of the file."""
    space = space_of({**tree, "forbid": []}, tmp_path)

    assignments = list(space.assignments())

    expected = members(space)
    key = repr
    assert sorted(map(key, assignments)) == sorted(map(key, expected))
    assert space.count() == len(expected)


@RELAXED
@given(tree=trees())
def test_count_is_exact_after_forbid(tree: Tree, tmp_path: Path) -> None:
    """The count is the number of assignments that contain no entry of `forbid`."""
    everything = members(space_of({**tree, "forbid": []}, tmp_path))
    entries = [written(entry).items() for entry in tree["forbid"]]
    allowed = [t for t in everything if not any(e <= written(t).items() for e in entries)]
    assume(allowed)

    space = space_of(tree, tmp_path)

    assert space.count() == len(allowed)
    assert sum(not space.forbidden(a) for a in space.assignments()) == len(allowed)


@RELAXED
@given(tree=trees(), seed=st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_is_a_member_and_an_arm(tree: Tree, seed: int, tmp_path: Path) -> None:
    """A draw by any suggestions is one of the assignments, and makes an arm."""
    space = space_of({**tree, "forbid": []}, tmp_path)
    generator = random.Random(seed)

    assignment = space.draw(lambda p: generator.choice(p.domain.values() or ()))

    assert assignment in members(space)
    assert list(assignment) == [p.path for p in space.parameters if p.path in assignment]
    assert space.arm(assignment).digest
    assert space.assignment(json.loads(json.dumps(assignment))) == assignment


@RELAXED
@given(tree=trees())
def test_arms_are_distinct_and_allowed(tree: Tree, tmp_path: Path) -> None:
    """The arms are those of the allowed assignments, each once, by the first that spells it."""
    try:
        space = space_of(tree, tmp_path)
    except SpaceError:
        assume(False)  # noqa: FBT003 - hypothesis has it so
    first: dict[str, Any] = {}
    for assignment in space.assignments():
        if not space.forbidden(assignment):
            first.setdefault(space.arm(assignment).digest, assignment)

    assert {arm.digest: assignment for assignment, arm in space.arms()} == first


@RELAXED
@given(tree=trees(), data=st.data())
def test_digest_is_of_the_meaning(tree: Tree, data: st.DataObject, tmp_path: Path) -> None:
    """Comments, the order of keys and `about` do not change the digest; a value does."""
    tree["forbid"] = []
    space = space_of(tree, tmp_path)

    path = tmp_path / "shuffled.yaml"
    shuffled = json.dumps({"about": "the same", **reordered(tree, data)}, indent=1)
    path.write_text(shuffled.replace("\n", " # a comment\n"), encoding="utf-8")
    again = load_space(path)

    assert again.digest == space.digest
    assert space.changes(again) == []
    assert (
        space_of({**tree, "data": {"name": "spectral", "seed": 1}}, tmp_path).digest
        != space.digest
    )


def reordered(tree: Any, data: st.DataObject) -> Any:
    """Return plain data with the keys of all mappings in another order."""
    if isinstance(tree, dict):
        keys = data.draw(st.permutations(list(tree)))
        return {key: reordered(tree[key], data) for key in keys}
    return tree


def written(taken: Any) -> dict[str, str]:
    """Return an assignment with its values as JSON, so that lists and tuples compare."""
    spelled = {path: "none" if value is None else value for path, value in taken.items()}
    return {path: json.dumps(value) for path, value in spelled.items()}


def test_a_continuous_domain_is_without_number(load: Callable[..., Space]) -> None:
    """A float without steps makes the count None, and enumeration refuses at the call."""
    space = load(
        ("lr: 3e-3", "lr: {float: [1e-3, 1e-2], log: true}"),
        ("{method: grid, ", "{method: random, candidates: 2, "),
    )

    assert space.count() is None
    for enumerate_them in (space.assignments, space.arms):
        with pytest.raises(FieldError, match=r"train.lr: is continuous; .*`steps: n`"):
            enumerate_them()


def test_a_continuous_domain_that_is_always_forbidden_is_counted(
    load: Callable[..., Space],
) -> None:
    """A continuum that no allowed assignment holds leaves the count finite."""
    space = load(
        (
            "lr: 3e-3",
            "lr: {float: [1e-3, 1e-2], when: {gate.product: self}, else: 3e-3}",
        ),
        ("{method: grid, ", "{method: random, candidates: 2, "),
        ("", "forbid: [{gate.product: self}]\n"),
    )

    assert space.count() == 3


def test_counting_does_not_go_through_the_space(load: Callable[..., Space]) -> None:
    """10^30 assignments, some of them forbidden, are counted in well under a second."""
    wide = "{int: [1, 1000000]}"
    space = load(
        ("[16, 32, 64]", f"[{', '.join([wide] * 4)}]"),
        ("depths: [1, 2, 1]", "depths: [1, 1, {int: [1, 1000000]}, 1]"),
        ("", "forbid: [{widths.0: 5, widths.1: 7}, {depths.2: 9, gate.product: self}]\n"),
    )

    start = time.perf_counter()
    count = space.count()

    million = 10**6
    pairs = million**2 - 1
    assert count == pairs * million**2 * 3 * (million * 2 - 1)
    assert time.perf_counter() - start < 1


def test_many_forbidden_pairs_are_counted_fast(load: Callable[..., Space]) -> None:
    """Thirty pairs that exclude each other are counted without trying their combinations."""
    n = 30
    widths = ", ".join(["{choice: [8, 16]}"] * (2 * n))
    entries = ", ".join(f"{{widths.{2 * i}: 8, widths.{2 * i + 1}: 8}}" for i in range(n))
    space = load(
        ("[16, 32, 64]", f"[{widths}]"),
        ("depths: [1, 2, 1]", f"depths: {[1] * 2 * n}"),
        ("kernel_size: 5", "kernel_size: 5"),
        ("", f"forbid: [{entries}]\n"),
    )

    assert space.count() == 3**n * 6


def test_enumeration_is_lazy_and_ordered(load: Callable[..., Space]) -> None:
    """The first of 10^12 assignments come at once, the last parameter changing fastest."""
    space = load(("[16, 32, 64]", "[{int: [1, 1000000]}, {int: [1, 1000000]}, 64]"))

    first = list(itertools.islice(space.assignments(), 7))

    assert [a["gate.activation"] for a in first] == [*["relu", "relu6", "gelu"] * 2, "relu"]
    assert [a["widths.1"] for a in first] == [1] * 6 + [2]


def test_what_a_parameter_draws_is_inside_its_domain(load: Callable[..., Space]) -> None:
    """A domain names its members: ends and points belong, what is beside them does not."""
    space = load(
        ("lr: 3e-3", "lr: {float: [1e-3, 1e-1], log: true, steps: 4}"),
    )
    (lr,) = [p for p in space.parameters if p.path == "train.lr"]

    assert isinstance(lr, Parameter)
    assert isinstance(lr.domain, Float)
    points = list(lr.domain.values() or ())
    assert points == [0.001, 0.00464159, 0.0215443, 0.1]
    assert [lr.domain.member(p) for p in points] == points
    for outside in (0.0046, 0.2, "0.1", True, None):
        with pytest.raises(FieldError):
            lr.domain.member(outside)
