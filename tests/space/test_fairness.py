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

TUNED: dict[str, tuple[str, str]] = {
    "no mapping": (
        "tune: [0.1] is not a mapping; write {lr: [1e-3, 3e-3, 1e-2]}",
        "tune: »[0.1]\n",
    ),
    "nothing": (
        "tune: names no parameter; write {lr: [1e-3, 3e-3, 1e-2]}",
        "»tune: {per: arm}\n",
    ),
    "unknown parameter": (
        "tune: 'weight_decays' cannot be tuned; did you mean 'weight_decay'?",
        "tune: {»weight_decays: [0, 1]}\n",
    ),
    "one value": (
        "tune.lr: leaves no choice; give two values or more",
        "tune: {lr: »[1e-3]}\n",
    ),
    "no list": ("tune.lr: 0.001 is not a list of numbers", "tune: {lr: »1e-3}\n"),
    "a value twice": (
        "tune.lr: 0.001 is there twice; remove one",
        "tune: {lr: [1e-3, 3e-3, »0.001]}\n",
    ),
    "a word": ("tune.lr: 'high' is not a number", "tune: {lr: [1e-3, »high]}\n"),
    "no value": ("tune.clip_grad: 'none' is not a number", "tune: {clip_grad: [»none, 1]}\n"),
    "a value no recipe takes": (
        "tune.lr: expected a number above 0, got -1.0",
        "tune: {lr: [1e-3, »-1.0]}\n",
    ),
    "values that do not fit the recipe": (
        "tune.warmup_epochs: expected at most the 8 epochs of the schedule, got 9",
        "tune: {warmup_epochs: [1, »9]}\n",
    ),
    "values without effect": (
        "tune.momentum: makes no difference to the recipe in `train`; remove it",
        "tune: {»momentum: [0.5, 0.9]}\n",
    ),
    "unknown way": (
        "tune.per: 'arms' is not one of arm, study; did you mean 'arm'?",
        "tune: {lr: [1e-3, 1e-2], per: »arms}\n",
    ),
    "unmeasured metric": (
        "tune.metric: 'params' is not measured after training; there are: top1, top5, loss, nodc",
        "tune: {lr: [1e-3, 1e-2], metric: »params}\n",
    ),
    "a seed that is shown": (
        "tune.seed: 2 is one of search.seeds, whose numbers are shown; give another",
        "tune: {lr: [1e-3, 1e-2], seed: »2}\n",
    ),
    "too many combinations": (
        "tune: 81 combinations for every arm; give at most 64",
        ("»tune: {lr: [1, 2, 3, 4, 5, 6, 7, 8, 9], weight_decay: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n"),
    ),
}

MATCHED: dict[str, tuple[str, str]] = {
    "no cost": (
        "match: names no cost, or two; give `flops: baseline` or `params: …`",
        "»match: {by: widths}\n",
    ),
    "two costs": (
        "match: names no cost, or two; give `flops: baseline` or `params: …`",
        "»match: {flops: baseline, params: baseline}\n",
    ),
    "a number": (
        "match.flops: 1000000.0 is not 'baseline' or none",
        "match: {flops: »1e6}\n",
    ),
    "a latency": (
        (
            "match: latency_ms cannot be matched, only flops and params; bound it by "
            "`constraints: {latency_ms: {max: 1.05 x baseline}}`"
        ),
        "match: {»latency_ms: baseline}\n",
    ),
    "unknown field": (
        "match.by: 'width' is not one of widths, depths, mlp_ratio; did you mean 'widths'?",
        "match: {flops: baseline, by: »width}\n",
    ),
    "no tolerance": (
        "match.tolerance: 0 is not a number above 0 below 1",
        "match: {flops: baseline, tolerance: »0}\n",
    ),
}


@pytest.mark.parametrize("name", TUNED)
def test_a_mistake_in_tune_is_told_once_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Types, values, effect, seed and number of the values tried."""
    message, text = TUNED[name]
    (place,) = marked(("", text))
    assert told(("", text)) == [f"{place}: {message}"]


@pytest.mark.parametrize("name", MATCHED)
def test_a_mistake_in_match_is_told_once_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """Which cost, by what, how near."""
    message, text = MATCHED[name]
    (place,) = marked(BASELINE, ("", text))
    assert told(BASELINE, ("", text)) == [f"{place}: {message}"]


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            [("lr: 3e-3", "»lr: {choice: [1e-3, 1e-2]}"), ("", "tune: {lr: [1e-3, 1e-2]}\n")],
            (
                "train.lr: is a domain and tuned as well; give one value here, or remove `lr` "
                "from tune"
            ),
        ),
        (
            [("resolution: 32", "holdout: »0"), ("", "tune: {lr: [1e-3, 1e-2]}\n")],
            "data.holdout: tune chooses by the holdout; give a share above 0, such as 0.1",
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
    told: Callable[..., list[str]],
    marked: Callable[..., list[str]],
) -> None:
    """No domain beside, a holdout, a baseline, and candidates that have what is scaled."""
    (place,) = marked(*edits)
    found = told(*edits)
    assert f"{place}: {message}" in found
    # A holdout of nothing has more against it.
    assert all(line.startswith(place) for line in found)


def test_mistakes_of_both_are_told_with_those_of_other_sections(
    told: Callable[..., list[str]],
) -> None:
    """One reading of the file gives all of them."""
    edits = [
        ("resolution: 32", "resolution: 3"),
        ("widths: [16, 32, 64]", "widths: [a]"),
        ("", "tune: {lr: [x, y], per: z}\nmatch: {flops: 3, by: it}\n"),
    ]
    starts = [
        "data.resolution",
        "model.widths",
        "tune.lr",
        "tune.lr",
        "tune.per",
        "match.flops",
        "match.by",
    ]
    lines = [line.partition(": ")[2] for line in told(*edits)]
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
def test_sections_that_are_mistaken_themselves_do_not_hide_it(
    model: str, train: str, told: Callable[..., list[str]]
) -> None:
    """Sound sections beside a mistaken model and recipe: the mistakes are of those alone."""
    head = "study: a\ndata: {name: spectral}\nobjectives: {top1: maximize}\n"
    text = f"{head}search: {{method: grid}}\nmodel: {model}\ntrain: {train}\nbaseline: {{}}\n"
    lines = told(("", TUNE[1] + MATCH[1]), text=text)
    said = {line.split(": ")[1].partition(".")[0] for line in lines}
    assert said == {"model", "train"}
