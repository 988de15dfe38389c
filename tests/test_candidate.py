"""Candidates, recipes and arms: canonical form, digest, difference, refusal."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsearch.errors import FieldError
from gmsearch.experiment import Arm, Recipe, arm_from, recipe_from
from gmsearch.networks import (
    ACTIVATIONS,
    PLACEMENTS,
    PRESETS,
    PRODUCTS,
    Gate,
    GmNetSpec,
    TimmSpec,
    candidate_from,
)
from gmsearch.plain import difference, plain

TINY: dict[str, Any] = {"widths": [8, 16], "depths": [1, 2]}


def tiny(**changes: Any) -> GmNetSpec:
    """Return a network of two stages, with changes."""
    candidate = candidate_from({**TINY, **changes})
    assert isinstance(candidate, GmNetSpec)
    return candidate


gates = st.builds(
    Gate,
    product=st.sampled_from(tuple(PRODUCTS)),
    activation=st.sampled_from(tuple(ACTIVATIONS)),
    placement=st.lists(st.sampled_from(PLACEMENTS["gmnet"]), min_size=1).map(tuple),
    stages=st.one_of(st.just("all"), st.lists(st.integers(0, 1)).map(tuple)),
    kernel_size=st.sampled_from([1, 3, 5]),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"mlp_ratio": 4}, {"mlp_ratio": [4.0, 4.0]}),
        ({"kernel_size": 5}, {"kernel_size": [5, 5]}),
        ({"gate": {"placement": "expand"}}, {"gate": {"placement": ["expand"]}}),
        (
            {"gate": {"placement": ["output", "input"]}},
            {"gate": {"placement": ["input", "output", "input"]}},
        ),
        ({"gate": {"stages": "all"}}, {"gate": {"stages": [1, 0]}}),
        ({"gate": {"stages": []}}, {"gate": {"product": "none"}}),
        ({"gate": {"product": "self", "kernel_size": 5}}, {"gate": {"product": "self"}}),
        (
            {"gate": {"product": "none", "placement": "input", "stages": [0]}},
            {"gate": {"product": "none"}},
        ),
        (
            {"gate": {"product": "self", "activation": "sigmoid"}},
            {"gate": {"product": "none", "activation": "silu"}},
        ),
        (
            {"gate": {"product": "self", "activation": "relu"}},
            {"gate": {"product": "none", "activation": "squared_relu"}},
        ),
        ({"drop_path_rate": 0}, {"drop_path_rate": 0.0}),
    ],
)
def test_equal_spellings_are_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two spellings of one network have one canonical form, and so one digest."""
    assert tiny(**one) == tiny(**other)
    assert tiny(**one).digest == tiny(**other).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"gate": {"product": "none", "activation": "relu"}}, {"gate": {"product": "none"}}),
        ({"gate": {"product": "dw", "kernel_size": 5}}, {"gate": {"product": "dw"}}),
        (
            {"gate": {"activation": "sigmoid", "stages": [0]}},
            {"gate": {"product": "none", "activation": "silu"}},
        ),
        (
            {"gate": {"activation": "relu", "placement": "input"}},
            {"gate": {"product": "none", "activation": "squared_relu"}},
        ),
        ({"layer_scale": None}, {}),
        ({"stem": "cifar"}, {}),
        ({"init": "timm"}, {}),
        ({"gain": "unit_variance"}, {}),
    ],
)
def test_different_networks_stay_different(one: dict[str, Any], other: dict[str, Any]) -> None:
    """What computes or starts otherwise has another digest."""
    assert tiny(**one).digest != tiny(**other).digest


@given(gates)
def test_canonical_form_is_a_fixed_point(gate: Gate) -> None:
    """Writing a candidate out and reading it back through JSON gives the same candidate."""
    arm = Arm(candidate=tiny(gate=gate), recipe=Recipe())
    again = arm_from(json.loads(json.dumps(plain(arm))))
    assert arm == again
    assert arm.digest == again.digest


@given(gates, gates)
def test_digests_are_equal_exactly_where_canonical_forms_are(one: Gate, other: Gate) -> None:
    """The digest neither merges nor splits."""
    left, right = tiny(gate=one), tiny(gate=other)
    assert (left == right) == (left.digest == right.digest)


def test_digest_is_pinned() -> None:
    """The digest of the released network never changes: ledgers hold it for years."""
    assert candidate_from({"preset": "gmnet_s3"}).digest == "9ae8e07d959f3d4e"


def test_difference_names_the_leaves_that_differ() -> None:
    """Exactly the leaves that differ are named, by path, with both values."""
    found = difference(tiny(), tiny(kernel_size=3, gate={"activation": "gelu"}))
    assert found == {"kernel_size": ([7, 7], [3, 3]), "gate.activation": ("relu6", "gelu")}
    assert difference(tiny(), tiny()) == {}


@given(gates, gates)
def test_difference_is_empty_exactly_for_equals(one: Gate, other: Gate) -> None:
    """No difference means one candidate, and the other way round."""
    left, right = tiny(gate=one), tiny(gate=other)
    assert (difference(left, right) == {}) == (left == right)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_candidates_and_can_be_changed(name: str) -> None:
    """A preset is complete, and a value beside it stands before its own."""
    assert candidate_from({"preset": name}) == candidate_from(dict(PRESETS[name]))
    preset = candidate_from({"preset": name})
    changed = candidate_from({"preset": name, "gate": {"activation": "silu"}})
    assert difference(preset, changed) == {
        "gate.activation": (plain(preset)["gate"]["activation"], "silu")
    }


@pytest.mark.parametrize(
    ("tree", "path", "words"),
    [
        ({"widths": [8], "depths": [1, 1]}, "depths", "2 stages where widths has 1"),
        ({"widths": [], "depths": []}, "widths", "at least 1"),
        ({"widths": [8, 0], "depths": [1, 1]}, "widths", "an integer from 1"),
        ({"widths": [8, 16], "depths": [1, True]}, "depths", "an integer from 1"),
        ({"widths": [8]}, "depths", "missing"),
        ({**TINY, "mlp_ratio": [1, 2, 3]}, "mlp_ratio", "3 values for 2 stages"),
        ({**TINY, "mlp_ratio": 0.01}, "mlp_ratio", "no channel"),
        ({**TINY, "kernel_size": 4}, "kernel_size", "odd"),
        ({**TINY, "layer_scale": -1}, "layer_scale", "a number above 0 or none"),
        ({**TINY, "drop_path_rate": 1}, "drop_path_rate", "a number from 0 below 1"),
        ({**TINY, "stem": "big"}, "stem", "imagenet, cifar"),
        ({**TINY, "stem_width": 0}, "stem_width", "an integer from 1"),
        ({**TINY, "init": "mine"}, "init", "release, timm"),
        ({**TINY, "gain": 2}, "gain", "none, unit_variance"),
        ({**TINY, "gate": {"product": "fcc"}}, "gate.product", "none, self"),
        ({**TINY, "gate": {"activation": "swish"}}, "gate.activation", "silu"),
        ({**TINY, "gate": {"placement": []}}, "gate.placement", "at least 1"),
        ({**TINY, "gate": {"placement": "stem"}}, "gate.placement", "input, expand"),
        ({**TINY, "gate": {"stages": [2]}}, "gate.stages", "beyond the last stage, 1"),
        ({**TINY, "gate": {"stages": "some"}}, "gate.stages", "'all' or a list"),
        ({**TINY, "gate": {"kernel_size": 2}}, "gate.kernel_size", "odd"),
        ({**TINY, "gate": {"gate": 1}}, "gate.gate", "not a field"),
        ({**TINY, "width": 8}, "width", "not a field"),
        ({"family": "resnet"}, "family", "gmnet, resnet18, mobilenetv2, timm"),
        ({"preset": "gmnet_s5"}, "preset", "gmnet_s1"),
        ({"preset": "res18", "family": "gmnet"}, "preset", "res18 is a resnet18, not a gmnet"),
        ({"family": "mobilenetv2", "widths": [8], "depths": [1]}, "widths", "MobileNetV2 has 7"),
        ({"family": "resnet18", "widths": [8]}, "depths", "4 stages where widths has 1"),
        ({"family": "resnet18", "kernel_size": 3}, "kernel_size", "not a field of ResNet18"),
        ({"family": "resnet18", "gate": {"placement": "expand"}}, "gate.placement", "inner"),
        ({"family": "mobilenetv2", "gate": {"stages": [7]}}, "gate.stages", "last stage, 6"),
        ({**TINY, "gate": {"placement": "both"}}, "gate.placement", "input, expand, output"),
        ({"family": "timm"}, "name", "missing"),
        ({"family": "timm", "name": ""}, "name", "the name of a model of timm"),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(
    tree: dict[str, Any], path: str, words: str
) -> None:
    """A value that cannot be is refused with its path and with what could be."""
    with pytest.raises(FieldError) as caught:
        candidate_from(tree)
    assert caught.value.path == path
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1.5}, "epochs"),
        ({"batch_size": -1}, "batch_size"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"lr": 0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"lr": "3e-3"}, "lr"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"momentum": 1}, "momentum"),
        ({"schedule": "step"}, "schedule"),
        ({"epochs": 2, "warmup_epochs": 3}, "warmup_epochs"),
        ({"clip_grad": 0}, "clip_grad"),
        ({"ema": 1.0}, "ema"),
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"augment": "autoaugment"}, "augment"),
        ({"dtype": "float16"}, "dtype"),
        ({"learning_rate": 0.1}, "learning_rate"),
    ],
)
def test_recipes_that_cannot_be_are_refused(tree: dict[str, Any], path: str) -> None:
    """A recipe that cannot train is refused by the field that is wrong."""
    with pytest.raises(FieldError) as caught:
        recipe_from(tree)
    assert caught.value.path == path


def test_recipe_numbers_are_one_whatever_their_spelling() -> None:
    """An integer where a float belongs gives the same recipe."""
    assert recipe_from({"lr": 1, "weight_decay": 0}) == Recipe(lr=1.0, weight_decay=0.0)


def test_hyper_parameters_that_do_nothing_make_no_other_arm() -> None:
    """Momentum without sgd and a smallest rate without a cosine change no digest."""
    assert recipe_from({"momentum": 0.5}) == Recipe()
    assert recipe_from({"schedule": "constant", "min_lr": 1e-5}) == Recipe(schedule="constant")
    assert recipe_from({"optimizer": "sgd", "momentum": 0.5}) != Recipe(optimizer="sgd")


def test_candidates_are_frozen_and_hashable() -> None:
    """A candidate can be a key, and cannot be changed under it."""
    candidate: Any = tiny()
    assert {candidate: 1}[tiny()] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        candidate.stem_width = 3


def test_timm_models_are_candidates() -> None:
    """A model of timm has a digest like any other."""
    model = candidate_from({"family": "timm", "name": "starnet_s1"})
    assert model == TimmSpec(name="starnet_s1")
    assert model.digest != TimmSpec(name="starnet_s2").digest


@pytest.mark.parametrize(
    ("family", "one", "other"),
    [
        ("resnet18", {}, {"gate": {"product": "none", "activation": "relu"}}),
        ("resnet18", {"gate": {"placement": "both"}}, {"gate": {"placement": ["outer", "inner"]}}),
        ("resnet18", {"gate": {}}, {"gate": {"placement": "inner"}}),
        (
            "resnet18",
            {"gate": {"activation": "sigmoid", "placement": "outer"}},
            {"gate": {"product": "none", "activation": "silu", "placement": "outer"}},
        ),
        (
            "resnet18",
            {"gate": {"product": "none", "activation": "relu", "placement": "both"}},
            {},
        ),
        ("mobilenetv2", {"gate": {"stages": [1, 2, 3, 4, 5, 6]}}, {"gate": {"stages": "all"}}),
        ("mobilenetv2", {"gate": {"stages": [0]}}, {}),
        ("mobilenetv2", {"mlp_ratio": 1, "gate": {"product": "fc"}}, {"mlp_ratio": 1}),
    ],
)
def test_equal_classic_networks_are_one(
    family: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Spellings of one ResNet-18 or MobileNetV2 are one, places and stages it lacks dropped."""
    left, right = (candidate_from({"family": family, **tree}) for tree in (one, other))
    assert left == right
    assert left.digest == right.digest


def test_the_place_of_a_plain_activation_matters_in_classic_networks() -> None:
    """GELU at one place and ReLU at the other is another network than the other way round."""
    gates = [{"product": "none", "activation": "gelu", "placement": p} for p in ("inner", "outer")]
    one, other = (candidate_from({"family": "resnet18", "gate": gate}) for gate in gates)
    assert one.digest != other.digest


def test_kernels_larger_than_their_maps_are_named() -> None:
    """Exactly the stages whose map is smaller than a kernel are named, with both sizes."""
    assert candidate_from({"preset": "gmnet_s3"}).kernel_warnings(224) == []
    assert candidate_from({"preset": "gmnet_s3"}).kernel_warnings(64) == [
        "stage 2: a kernel of 7 is larger than its map of 4x4 pixels",
        "stage 3: a kernel of 7 is larger than its map of 2x2 pixels",
    ]
    gated = {"preset": "res18", "stem": "cifar", "gate": {"product": "pool", "kernel_size": 7}}
    assert candidate_from(gated).kernel_warnings(32) == [
        "gate of stage 3: a kernel of 7 is larger than its map of 4x4 pixels"
    ]
    assert len(candidate_from({"preset": "mobilenetv2"}).kernel_warnings(32)) == 4
    assert candidate_from({"family": "timm", "name": "vgg11"}).kernel_warnings(1) == []


@pytest.mark.parametrize(
    "change",
    [
        {"crop_scale": (0.5, 1)},
        {"schedule": "constant", "cooldown_epochs": 4},
        {"warmup_lr": 1e-6},
        {"micro_batch": 128},
    ],
)
def test_what_a_recipe_does_not_use_makes_no_other(change: dict[str, Any]) -> None:
    """A crop without crops, a cool-down without an end, parts as large as the batch do nothing."""
    schedule = {"schedule": change["schedule"]} if "schedule" in change else {}
    assert recipe_from(change) == recipe_from(schedule)


def test_checkpoints_make_no_other_arm() -> None:
    """How often a checkpoint is written is no part of an arm's digest; the batch's parts are."""
    arms = [
        Arm(candidate=tiny(), recipe=recipe_from(tree))
        for tree in ({}, {"checkpoint_every": 3}, {"micro_batch": 3})
    ]
    assert arms[0].digest == arms[1].digest != arms[2].digest


def test_a_recipe_by_name_takes_changes() -> None:
    """What is given beside the name goes before; what is not is the official command's."""
    recipe = recipe_from({"recipe": "gmnet_imagenet", "epochs": 20})
    assert (recipe.epochs, recipe.total_epochs, recipe.batch_size) == (20, 30, 2048)
    assert (recipe.auto_augment, recipe.mixup, recipe.dtype) == (
        "rand-m1-mstd0.5-inc1",
        0.8,
        "float32",
    )
    assert recipe_from({}).dtype_on("cuda:1") == "bfloat16"
    assert recipe_from({}).dtype_on("cpu") == "float32"


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"recipe": "gmnet"}, "recipe"),
        ({"recipe": "gmnet_imagenet", "epochs": 3}, "warmup_epochs"),
        ({"crop_scale": [0.5, 0.2]}, "crop_scale"),
        ({"auto_augment": "magic"}, "auto_augment"),
        ({"random_erasing": 1.5}, "random_erasing"),
        ({"mixup": -1}, "mixup"),
        ({"micro_batch": 0}, "micro_batch"),
        ({"compile": "max"}, "compile"),
        ({"checkpoint_every": -1}, "checkpoint_every"),
    ],
)
def test_a_recipe_names_what_cannot_be(tree: dict[str, Any], path: str) -> None:
    """Each mistake is a FieldError at its field."""
    with pytest.raises(FieldError) as error:
        recipe_from(tree)
    assert error.value.path == path
