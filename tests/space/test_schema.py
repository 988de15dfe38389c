"""The JSON Schema: what loads passes it, what has a wrong shape does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ruamel.yaml

from gmsearch.networks import ACTIVATIONS, PRODUCTS
from gmsearch.space import METHODS, Space
from gmsearch.space.methods import users_of
from gmsearch.spacefile import json_schema, load_space
from gmsearch.wording import listing

SPACES = sorted((Path(__file__).parents[2] / "spaces").glob("*.yaml"))
GATE = """\
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu, relu6, gelu]}
    placement: expand
    stages: all
"""
GOOD = {
    "bare": (),
    "domains": (
        ("[16, 32, 64]", "[16, {choice: [24, 32]}, {int: [48, 64], step: 8}]"),
        ("lr: 3e-3", "lr: {float: [1e-3, 1e-2], log: true, steps: 3}, clip_grad: none"),
        ("kernel_size: 5", "kernel_size: {choice: [3, [3, 5, 7]]}"),
    ),
    "labels": (
        (
            GATE,
            (
                "  gate:\n    choice:\n      plain: {product: none}\n"
                "      gated: {product: self, activation: {choice: {soft: gelu, hard: relu6}}}\n"
            ),
        ),
    ),
    "families": (
        ("model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n" + GATE, ""),
        (
            "",
            (
                "model: {choice: {a: {preset: gmnet_s3}, b: {family: timm, name: resnet10t}, "
                "c: {preset: res18_ewp, stem: cifar}, d: {family: mobilenetv2, head_width: 64}}}\n"
            ),
        ),
    ),
    "conditions": (
        (
            "placement: expand",
            "placement: {choice: [input, output], when: {gate.product: [self]}, else: expand}",
        ),
    ),
    "sections": (
        ("{name: spectral, resolution: 32}", "{name: parquet, root: ., resolution: none}"),
        (
            "{top1: maximize}",
            (
                "{top1: maximize, high@4.5: maximize, band@4:10: maximize}\n"
                "constraints: {flops: {max: 1.2 x baseline, min: 1e3}}\n"
                "bands: {radii: [4.5], ranges: [[4, 10]], every: 0}"
            ),
        ),
        ("method: grid, seeds: 3", "method: nsga2, candidates: 9, seeds: [3], max_failed: 20%"),
        ("", "baseline: {gate.product: self, gate.activation: relu}\nresources: {gpus: 0.5}\n"),
        ("", "forbid: [{gate.product: none, gate.activation: gelu}]\nabout: x\n"),
    ),
}
BAD = {
    "unknown key": ("epochs: 8", "epocs: 8"),
    "number in quotes": ("epochs: 8", 'epochs: "8"'),
    "option in quotes": ("[none, self]", "[none, selff]"),
    "unknown section": ("search:", "serach:"),
    "step of a float": ("lr: 3e-3", "lr: {float: [1e-3, 1e-2], step: 3}"),
    "float of an integer": ("epochs: 8", "epochs: {float: [1, 2]}"),
    "domain without values": ("[none, self]", "[]"),
    "condition without else": (
        "placement: expand",
        "placement: {choice: [input], when: {gate.product: self}}",
    ),
    "label with a dot": ("[none, self]", "{a.b: none}"),
    "key of another family": (
        "model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n" + GATE,
        "model: {preset: res18, layer_scale: none}\n",
    ),
    "no widths": ("  widths: [16, 32, 64]\n", ""),
    "direction": ("maximize", "up"),
    "metric": ("top1", "top2"),
    "method": ("grid", "anneal"),
    "candidates of a grid": ("method: grid", "method: grid, candidates: 3"),
    "no candidates": ("method: grid", "method: random"),
    "root of spectral": ("name: spectral", "name: spectral, root: x"),
    "holdout": ("resolution: 32", "holdout: 1"),
}


def plain(path: Path) -> Any:
    """Return a file as an editor's checker sees it: YAML as JSON."""
    return json.loads(json.dumps(ruamel.yaml.YAML(typ="safe", pure=True).load(path)))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """Return a checker of the schema, which must be one of its draft."""
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", GOOD)
def test_what_loads_passes(
    name: str, load: Callable[..., Space], validator: jsonschema.Draft202012Validator
) -> None:
    """A file that loads has no mistake by the schema."""
    load(*GOOD[name])

    assert [e.message for e in validator.iter_errors(plain(Path("space.yaml")))] == []


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_the_spaces_of_the_project_load_and_pass(
    path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    """The space files that come with the project are good, by the loader and by the schema."""
    assert load_space(path).study == path.stem
    assert [e.message for e in validator.iter_errors(plain(path))] == []


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_shape_does_not_pass(
    name: str, mistakes_in: Callable[..., list[str]], validator: jsonschema.Draft202012Validator
) -> None:
    """A file with a mistake that a schema can see fails the schema, as it fails to load."""
    assert mistakes_in(BAD[name])

    assert not validator.is_valid(plain(Path("space.yaml")))


def test_every_key_says_what_it_is() -> None:
    """An editor can show a description at every key of the file."""
    schema = json_schema()

    assert all("description" in part for part in schema["properties"].values())
    gate = schema["$defs"]["Gate.value"]["properties"]
    assert all("description" in part for part in gate.values())
    assert gate["product"]["description"].startswith("Second factor phi. none: 1,")


def test_every_key_is_described() -> None:
    """Wherever an editor stands, the key has a description, and a domain a title of its own."""
    schema = json_schema()
    plain_keys, titles = set(), set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            titles.add(part.get("title"))
            # A condition repeats keys that are described where it applies.
            properties = part.get("properties", {}) if part.get("type") == "object" else {}
            for key, site in properties.items() if "additionalProperties" in part else ():
                if "description" not in site:
                    site = schema["$defs"][site["$ref"].rpartition("/")[2]]  # noqa: PLW2901
                if "description" not in site:
                    plain_keys.add(key)
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(schema)
    assert not plain_keys
    assert {"choice of values", "range of integers", "gmnet network", "recipe"} <= titles
    assert not any(isinstance(title, str) and title.istitle() for title in titles)


@pytest.mark.parametrize(
    ("old", "new", "typo"),
    [
        ("epochs: 8", "epochs: {int: [1, 4], stpe: 1}", "stpe"),
        ("epochs: 8", "epochs: {choise: [1, 4]}", "choise"),
        ("kernel_size", "kernel_sise", "kernel_sise"),
        ("model:\n", "model:\n  family: resnet18\n", "kernel_size"),
    ],
)
def test_a_typo_is_named_and_little_else(
    old: str,
    new: str,
    typo: str,
    mistakes_in: Callable[..., list[str]],
    validator: jsonschema.Draft202012Validator,
) -> None:
    """An editor shows the misspelt key, not that each of several other shapes does not fit."""
    assert mistakes_in((old, new))

    errors = list(validator.iter_errors(plain(Path("space.yaml"))))

    assert any(repr(typo) in error.message for error in errors)
    assert len(errors) <= 3
    assert not any(error.context for error in errors)


def test_every_row_of_a_table_is_described() -> None:
    """Where a key names a row, its description has the text of each row, plugins included."""
    schema = json_schema()
    gate = schema["$defs"]["Gate.value"]["properties"]
    search = schema["properties"]["search"]["properties"]
    for part, rows in (
        (gate["product"], PRODUCTS),
        (gate["activation"], ACTIVATIONS),
        (search["method"], METHODS),
    ):
        for name, row in rows.items():
            assert f"{name}: {row.text}" in part["description"]
    assert "input: gmnet: after the first" in gate["placement"]["description"]
    for option in ("candidates", "population"):
        assert search[option]["description"].endswith(f"Only used by {listing(users_of(option))}.")


def test_each_type_is_defined_once() -> None:
    """The schema stays small: a place refers to the definition of its type."""
    assert len(json.dumps(json_schema())) < 100_000
