"""What a space answers besides its arms: names, roots, seeds, assignments from a ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gmsearch.errors import FieldError
from gmsearch.experiment import ParquetImages
from gmsearch.space import Space

Load = Callable[..., Space]
GATE = """\
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu, relu6, gelu]}
    placement: expand
    stages: all
"""


@pytest.mark.parametrize(
    ("flag", "environment", "root"),
    [("flag", "env", "flag"), (None, "env", "env"), (None, "", "file")],
)
def test_where_the_images_lie(
    load: Load, monkeypatch: pytest.MonkeyPatch, flag: str | None, environment: str, root: str
) -> None:
    """--data-root goes before GMSEARCH_DATA, which goes before the file; all from the folder."""
    monkeypatch.setenv("GMSEARCH_DATA", environment)

    space = load(
        ("{name: spectral, resolution: 32}", "{name: parquet, root: file}"),
        data_root=Path(flag) if flag else None,
    )

    assert space.data == ParquetImages(root=str(Path.cwd() / root))


def test_the_seeds_are_a_list_or_a_number(load: Load) -> None:
    """`seeds: 3` is `seeds: [0, 1, 2]`, and a share of failed trials is a float."""
    space = load(("seeds: 3", "seeds: 3, max_failed: 20%"))

    assert (space.search.seeds, space.search.max_failed) == ((0, 1, 2), 0.2)
    assert load(("seeds: 3", "seeds: [7, 5], max_failed: 4")).search.max_failed == 4


def test_a_space_without_parameters_is_one_arm(load: Load) -> None:
    """A file that varies nothing holds one candidate, of the empty assignment."""
    space = load((GATE, ""))

    assert space.count() == 1
    assert list(space.assignments()) == [{}]
    assert space.label({}) == ""


def test_labels_are_as_short_as_they_can_be(load: Load) -> None:
    """A parameter is shown by the last part of its path that tells it from the others."""
    space = load(
        ("[16, 32, 64]", "[{choice: [8, 16]}, 32, 64]"),
        ("kernel_size: 5", "kernel_size: {choice: [3, [3, 5, 7]]}"),
        ("stages: all", "kernel_size: {choice: [3, 5]}"),
        ("lr: 3e-3", "lr: {float: [1e-3, 1e-2]}, clip_grad: {choice: [none, 1.0]}"),
        ("{method: grid, ", "{method: random, candidates: 2, "),
    )

    assignment = space.draw(lambda p: p.domain.values()[-1] if p.domain.values() else 1 / 300)  # type: ignore[index]

    assert space.label(assignment) == (
        "widths.0=16 kernel_size=3-5-7 product=self activation=gelu gate.kernel_size=5 "
        "lr=0.00333333 clip_grad=1"
    )


def test_an_assignment_survives_json(load: Load) -> None:
    """Lists of JSON become tuples again; what is no assignment of the space is refused."""
    space = load(("[16, 32, 64]", "{choice: [[8, 16, 32], [16, 32, 64]]}"))
    given = {"widths": [8, 16, 32], "gate.product": "self", "gate.activation": "relu"}

    assert space.assignment(given)["widths"] == (8, 16, 32)
    with pytest.raises(FieldError, match=r"widths: expected one of its options, got \[9\]"):
        space.assignment({**given, "widths": [9]})
    with pytest.raises(FieldError, match=r"gate.product: has no value"):
        space.assignment({"widths": [8, 16, 32]})
    with pytest.raises(FieldError, match=r"depth: not a parameter of the space"):
        space.assignment({**given, "depth": 1})
