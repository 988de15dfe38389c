"""What a study may be gone on with: the named differences between two space files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmsearch.space import Space

Load = Callable[..., Space]
BASELINE = "baseline: {gate.product: none, gate.activation: relu}\n"

# Name -> edits that make the old file, edits that make the new one, the differences as reported.
ALLOWED: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]], list[str]]] = {
    "more seeds": (
        [],
        [("seeds: 3", "seeds: 5")],
        ["search.seeds: [0, 1, 2] -> [0, 1, 2, 3, 4]"],
    ),
    "more candidates": (
        [("method: grid", "method: tpe, candidates: 4")],
        [("method: grid", "method: tpe, candidates: 8")],
        ["search.candidates: 4 -> 8"],
    ),
    "more failures": (
        [],
        [("seeds: 3", "seeds: 3, max_failed: 5")],
        ["search.max_failed: absent -> 5"],
    ),
    "another objective": (
        [],
        [("{top1: maximize}", "{top1: maximize, flops: minimize}")],
        ["objectives.flops: absent -> minimize"],
    ),
    "another constraint": (
        [],
        [("", "constraints: {flops: {max: 6e6}}\n")],
        ["constraints.flops.max: absent -> 6000000.0"],
    ),
    "another forbid": (
        [],
        [("", "forbid: [{gate.product: none}]\n")],
        ["forbid: [] -> [{gate.product: none}]"],
    ),
    "other bands": (
        [],
        [("", "bands: {radii: [4], dc: drop}\n")],
        ["bands.radii: [] -> [4.0]", "bands.dc: dataset_mean -> drop"],
    ),
    "other resources": ([], [("", "resources: {cpus: 4}\n")], ["resources.cpus: 1 -> 4"]),
}
REFUSED: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]], list[str]]] = {
    "another option": (
        [],
        [("[none, self]", "[none, self, dw]")],
        ["model.gate.product.choice: [none, self] -> [none, self, dw]"],
    ),
    "another width": (
        [],
        [("[16, 32, 64]", "[16, 32, 48]")],
        ["model.widths: [16, 32, 64] -> [16, 32, 48]"],
    ),
    "a domain for a value": (
        [],
        [("kernel_size: 5", "kernel_size: {int: [3, 5], step: 2}")],
        [
            "model.kernel_size: 5 -> absent",
            "model.kernel_size.int: absent -> [3, 5]",
            "model.kernel_size.step: absent -> 2",
            "model.kernel_size.log: absent -> false",
        ],
    ),
    "another recipe": ([], [("epochs: 8", "epochs: 9")], ["train.epochs: 8 -> 9"]),
    "other data": ([], [("resolution: 32", "resolution: 64")], ["data.resolution: 32 -> 64"]),
    "another holdout": (
        [],
        [("resolution: 32", "resolution: 32, holdout: 0.2")],
        ["data.holdout: 0.1 -> 0.2"],
    ),
    "another baseline": (
        [("", BASELINE)],
        [("", BASELINE.replace("none", "self"))],
        ["baseline.gate.product: none -> self"],
    ),
    "another method": (
        [],
        [("method: grid", "method: random, candidates: 5")],
        ["search.method: grid -> random", "search.candidates: absent -> 5"],
    ),
    "another seed of the sampler": (
        [],
        [("method: grid", "method: grid, seed: 1")],
        ["search.seed: 0 -> 1"],
    ),
    "another study": ([], [("bare", "other")], ["study: bare -> other"]),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed_changes_are_named(name: str, load: Load) -> None:
    """What is judged from the records, or adds to them, is named and allowed."""
    before, after, expected = ALLOWED[name]

    changes = load(*before).changes(load(*after))

    assert [str(change) for change in changes] == expected
    assert all(change.allowed for change in changes)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_changes_are_named_with_the_remedy(name: str, load: Load) -> None:
    """What makes other records, or other proposals, is refused: the study needs a new name."""
    before, after, expected = REFUSED[name]

    changes = load(*before).changes(load(*after))

    lines = [
        str(change).removesuffix(": give the changed space another `study` name")
        for change in changes
    ]
    assert lines == expected
    assert not changes[0].allowed
    assert str(changes[0]) != lines[0]


@pytest.mark.parametrize(
    "edit",
    [
        ("study: bare", "study: bare\nabout: something else"),
        ("study: bare", "# a comment\nstudy: bare"),
        ("{epochs: 8, lr: 3e-3}", "{lr: 0.003, epochs: 8}"),
        ("{epochs: 8, lr: 3e-3}", "{epochs: 8, lr: 3e-3, batch_size: 128}"),
        ("stages: all", "stages: all\n    kernel_size: 3"),
        ("seeds: 3", "seeds: [0, 1, 2]"),
        ("resolution: 32", "resolution: 32, classes: 10"),
    ],
    ids=["about", "comment", "order", "default", "default of the gate", "seeds", "data"],
)
def test_the_same_in_other_words_is_no_change(edit: tuple[str, str], load: Load) -> None:
    """Comments, `about`, the order of keys and defaults written out are no difference."""
    one, other = load(), load(edit)

    assert one.changes(other) == []
    assert one.digest == other.digest


def test_where_the_images_lie_is_no_change(load: Load) -> None:
    """A study may go on where the same data lie elsewhere; what they are, their bytes tell."""
    spectral = "{name: spectral, resolution: 32}"
    one = load((spectral, "{name: parquet, root: here}"))
    other = load((spectral, "{name: parquet, root: there}"))

    assert one.changes(other) == []
    assert one.digest == other.digest
    assert one.data != other.data
