"""The sections `tune` and `match`: what they mean, every mistake in them, what is frozen."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest

from gmsearch.space import Match, Space, Tune
from gmsearch.spacefile import json_schema

Load = Callable[..., Space]

BASELINE = ("", "baseline: {gate.product: none, gate.activation: relu}\n")
TUNE = ("", "tune: {lr: [1e-3, 1e-2], weight_decay: [0, 0.05], per: study}\n")
MATCH = ("", "match: {params: baseline, by: mlp_ratio, tolerance: 0.02}\n")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            [("lr: 3e-3", "»lr: {choice: [1e-3, 1e-2]}"), ("", "tune: {lr: [1e-3, 1e-2]}\n")],
            (
                "train.lr: has a domain and is tuned as well; give one value here, or remove "
                "`lr` from `tune`"
            ),
        ),
        (
            [("resolution: 32", "holdout: »0"), ("", "tune: {lr: [1e-3, 1e-2]}\n")],
            "data.holdout: `tune` selects on the holdout; give a share above 0, such as 0.1",
        ),
        (
            [("", "match: {flops: »baseline}\n")],
            "match.flops: there is no baseline; add `baseline: {PATH: VALUE, …}`",
        ),
        (
            [
                ("widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n  gate", "gate"),
                ("  gate:\n", "  family: resnet18\n  gate:\n"),
                ("placement: expand", "placement: inner"),
                BASELINE,
                ("", "match: {flops: baseline, by: »mlp_ratio}\n"),
            ],
            "match.by: a candidate of family resnet18 has no mlp_ratio to scale",
        ),
    ],
)
def test_what_other_sections_must_give(
    edits: list[tuple[str, str]],
    message: str,
    mistakes_in: Callable[..., list[str]],
    marked: Callable[..., list[str]],
) -> None:
    """No domain of a tuned parameter, a holdout, a baseline, candidates with the scaled field."""
    (position,) = marked(*edits)
    lines = mistakes_in(*edits)
    assert f"{position}: {message}" in lines
    # An empty holdout is reported by other sections as well.
    assert all(line.startswith(position) for line in lines)


def test_mistakes_of_both_are_reported_with_those_of_other_sections(
    mistakes_in: Callable[..., list[str]],
) -> None:
    """One reading of the file gives all of them."""
    edits = [
        ("resolution: 32", "resolution: 3"),
        ("widths: [16, 32, 64]", "widths: [a]"),
        ("", "tune: {lr: [x, y], per: z}\nmatch: {flops: 3, by: it}\n"),
    ]
    starts = [
        "data.resolution",
        "model.widths.0",
        "tune.lr.0",
        "tune.lr.1",
        "tune.per",
        "match.flops",
        "match.by",
    ]
    lines = [line.partition(": ")[2] for line in mistakes_in(*edits)]
    assert sorted(line.partition(":")[0] for line in lines) == sorted(starts)


def test_what_a_file_says(load: Load) -> None:
    """The grid is the full factorial; the seed is the largest unless said."""
    space = load(BASELINE, TUNE, MATCH)
    assert space.tune == Tune(
        values={"lr": (1e-3, 1e-2), "weight_decay": (0, 0.05)}, per="study", seed=2**32 - 1
    )
    assert space.match == Match(params="baseline", by="mlp_ratio", tolerance=0.02)
    assert space.tune.grid() == [
        {"lr": lr, "weight_decay": decay} for lr in (1e-3, 1e-2) for decay in (0, 0.05)
    ]


@pytest.mark.parametrize(
    ("chosen", "edges"),
    [
        ({"lr": 1e-3, "weight_decay": 0.05}, {"lr": "lowest", "weight_decay": "highest"}),
        ({"lr": 3e-3, "weight_decay": 0}, {}),
        ({"lr": 1e-2, "weight_decay": 0}, {"lr": "highest"}),
    ],
)
def test_an_end_of_a_range_is_an_edge_unless_nothing_lies_beyond(
    chosen: dict[str, float], edges: dict[str, str]
) -> None:
    """The order of the file does not matter; no weight decay is no edge."""
    tune = Tune(values={"lr": (3e-3, 1e-3, 1e-2), "weight_decay": (0, 0.05)})
    assert tune.edges(chosen) == edges


@pytest.mark.parametrize("section", [TUNE, MATCH])
def test_both_are_frozen_with_the_study(section: tuple[str, str], load: Load) -> None:
    """Given, taken back or changed, they make another study; left out, they leave no trace."""
    before, after = load(BASELINE), load(BASELINE, section)
    assert section[1].partition(":")[0] not in before.meaning()
    for old, new in ((before, after), (after, before)):
        changes = old.changes(new)
        assert changes
        assert not any(change.allowed for change in changes)
    assert after.changes(load(BASELINE, section)) == []
    assert json.loads(json.dumps(after.meaning()))[section[1].partition(":")[0]]


@pytest.mark.parametrize("text", ["tune: {lr: [1e-3, 3e-3]}\n", TUNE[1]])
def test_the_schema_passes_what_loads(text: str, load: Load) -> None:
    """`tune` and `match` complete in an editor, and nothing else passes beside them."""
    load(BASELINE, ("", text), MATCH)
    validator = jsonschema.Draft202012Validator(json_schema())
    base = {
        "study": "a",
        "model": {"preset": "gmnet_s1"},
        "data": {"name": "spectral"},
        "objectives": {"top1": "maximize"},
        "search": {"method": "grid"},
    }
    good: dict[str, object] = {"tune": {"lr": [0.1, 0.2], "per": "arm"}}
    good["match"] = {"flops": "baseline", "by": "depths", "tolerance": 0.1}
    validator.validate({**base, **good})
    for bad in (
        {"tune": {"per": "arm"}},
        {"tune": {"lr": [0.1]}},
        {"tune": {"optimizer": ["sgd", "adamw"]}},
        {"tune": {"ema": ["none", 0.9]}},
        {"match": {"by": "widths"}},
        {"match": {"flops": "baseline", "params": "baseline"}},
        {"match": {"latency_ms": "baseline"}},
    ):
        assert not validator.is_valid({**base, **bad})


@pytest.mark.parametrize("model", ["3", "{widths: [8]}", "{}", "{preset: x}"])
@pytest.mark.parametrize("train", ["3", "{epochs: x, lr: -1}", "{choice: {a: 3}}"])
def test_wrong_model_and_train_are_reported_beside_tune_and_match(
    model: str, train: str, mistakes_in: Callable[..., list[str]]
) -> None:
    """Valid sections beside a wrong model and recipe: only the latter are reported."""
    head = "study: a\ndata: {name: spectral}\nobjectives: {top1: maximize}\n"
    text = f"{head}search: {{method: grid}}\nmodel: {model}\ntrain: {train}\nbaseline: {{}}\n"
    lines = mistakes_in(("", TUNE[1] + MATCH[1]), text=text)
    said = {line.split(": ")[1].partition(".")[0] for line in lines}
    assert said == {"model", "train"}
