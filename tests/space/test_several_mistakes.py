"""All mistakes of a file at once, in the order of the file, and none that follows from another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gmsearch.errors import SpaceError
from gmsearch.spacefile import load_space

MANY = """\
study: »gate/ablation
model:
  »familly: gmnet
  widths: [16, »"32", 64]
  depths: [1, 2, 1]
  mlp_ratio: {choice: [2, »two]}
  kernel_size: »4
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu, »rellu]}
    placement: {choice: [input, output], »when: {gate.product: self}}
baseline: {gate.product: »dw}
forbid:
  - {»gate.prodct: none}
data: {name: spectral, holdout: »1.5}
train: {epochs: 8, »epochs: 9, lr: »fast, weight_decay: »-1}
bands: {radii: [4, »99], »edges: lt}
objectives: {»top2: maximize, loss: »down, high@4: maximize}
constraints: {flops: {max: »lots}}
»search: {method: tpe, population: »3, seeds: »[]}
resources: {»cpu: 2}
"""
WORDS = """\
study: expected a name of at most 100 letters
unknown key 'familly'
model.widths.1: expected an integer from 1, got '32'
model.mlp_ratio: expected a number above 0, got 'two'
model.kernel_size: expected an odd integer from 1, got 4
model.gate.activation: expected one of identity, relu
model.gate.placement: `when` needs `else`
baseline.gate.product: expected one of its options, got 'dw'
forbid.0: 'gate.prodct' is not a parameter
data.holdout: expected a number from 0 below 1, got 1.5
key 'epochs' is given twice
train.lr: expected a number above 0, got 'fast'
train.weight_decay: expected a number from 0, got -1
bands.radii.1: expected a radius below
bands: unknown key 'edges'
objectives: 'top2' is not a metric
objectives.loss: expected maximize or minimize, got 'down'
constraints.flops.max: expected a number or a multiple
search.candidates: required by tpe
search.population: only used by nsga2, not by tpe
search.seeds: expected a count from 1 to 1000 or a non-empty list
resources: unknown key 'cpu'
"""


def test_all_mistakes_at_once(
    mistakes_in: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Mistakes of every kind are reported together, each at its position, in file order."""
    lines = mistakes_in(text=MANY)

    assert [line.rsplit(": ", line.count(": "))[0] for line in lines] == marked(text=MANY)
    for line, words in zip(lines, WORDS.splitlines(), strict=True):
        assert words in line


def test_each_line_is_of_the_form_editors_jump_to(tmp_path: Path) -> None:
    """The message is one line a mistake, each `file:line:column: what is wrong`."""
    path = tmp_path / "many.yaml"
    path.write_text(MANY.replace("»", ""), encoding="utf-8")

    with pytest.raises(SpaceError) as caught:
        load_space(path)

    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.mistakes) == MANY.count("»")
    for line in lines:
        assert re.fullmatch(rf"{re.escape(str(path))}:\d+:\d+: .+", line)


def test_the_order_is_always_the_same(mistakes_in: Callable[..., list[str]]) -> None:
    """Reading a file twice gives the same mistakes in the same order."""
    assert mistakes_in(text=MANY) == mistakes_in(text=MANY)


def test_a_wrong_domain_is_not_reported_again_where_it_is_used(
    mistakes_in: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """A baseline, condition or forbid that names a parameter with a mistake is not reported."""
    edits = (
        ("product: {choice: [none, self]}", "product: {choice: [none, »selff]}"),
        (
            "placement: expand",
            "placement: {choice: [input, output], when: {gate.product: self}, else: expand}",
        ),
        ("", "baseline: {gate.product: none, gate.activation: relu}\n"),
        ("", "forbid: [{gate.product: self, gate.activation: relu}]\n"),
    )

    lines = mistakes_in(*edits)

    assert len(lines) == 1
    assert lines[0].startswith(
        f"{marked(*edits)[0]}: model.gate.product: expected one of none, self"
    )


def test_a_wrong_section_is_not_reported_again_where_it_is_used(
    mistakes_in: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Band metrics are not reported where the bands themselves have a mistake."""
    edits = (
        ("{top1: maximize}", "{high@10: maximize}"),
        ("", "bands: {radii: [10], dc: »none}\n"),
    )

    (line,) = mistakes_in(*edits)

    assert line.startswith(f"{marked(*edits)[0]}: bands.dc: expected one of dataset_mean")


def test_every_option_that_fits_nothing_is_reported(
    mistakes_in: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Each value of a domain is judged, not only the first that is wrong."""
    edit = ("kernel_size: 5", "kernel_size: {choice: [»2, 3, »4, 5, »6, »-7]}")

    assert [":".join(line.split(":")[:2]) for line in mistakes_in(edit)] == marked(edit)


def test_a_value_in_a_large_space_is_judged_as_in_a_small_one(
    mistakes_in: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Every option of a space too large to go through is judged."""
    wide = ", ".join(map(str, range(8, 40)))
    edits = (
        (
            "[16, 32, 64]",
            f"[{{choice: [{wide}]}}, {{choice: [{wide}]}}, {{choice: [{wide}, »0]}}]",
        ),
        ("lr: 3e-3", "lr: {float: [1e-3, 1e-2], steps: 9}, weight_decay: {choice: [0, 1, »-1]}"),
    )

    lines = mistakes_in(*edits)

    assert [":".join(line.split(":")[:2]) for line in lines] == marked(*edits)
