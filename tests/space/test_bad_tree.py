"""Mistakes in the values of `model` and `train`: each told alone, at its place, with a remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

KERNEL = "  kernel_size: 5"
GATE = """\
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu, relu6, gelu]}
    placement: expand
    stages: all
"""

# Name -> message, and what stands in the small file and what stands there instead; a mark stands
# before the place that is told.
ROWS: dict[str, tuple[str, tuple[str, str]]] = {
    "misspelt key": (
        "model: unknown key 'kernel_sise'; did you mean 'kernel_size'?",
        (KERNEL, "  »kernel_sise: 5"),
    ),
    "misspelt required key": (
        "model: unknown key 'dephts'; did you mean 'depths'?",
        ("  depths:", "  »dephts:"),
    ),
    "missing required key": (
        "model: depths is missing; add `depths: …` or `preset: …`",
        ("model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]", "»model:\n  widths: [16, 32, 64]"),
    ),
    "key of the gate one level too high": (
        "model: unknown key 'activation'; it belongs to `gate`",
        (KERNEL, "  »activation: relu"),
    ),
    "misspelt key of the gate": (
        "model.gate: unknown key 'stage'; did you mean 'stages'?",
        ("stages: all", "»stage: all"),
    ),
    "condition beside a value": (
        "model.gate: unknown key 'when'; it stands beside a domain: `choice`, `int` or `float`",
        ("stages: all", "»when: {gate.product: self}"),
    ),
    "unknown family": (
        "model.family: 'resnet' is not a family; did you mean 'resnet18'?",
        (KERNEL, "  family: »resnet"),
    ),
    "misspelt family": (
        "model.family: 'gment' is not a family; did you mean 'gmnet'?",
        (KERNEL, "  family: »gment"),
    ),
    "family as a domain": (
        (
            "model.family: a family is not searched by itself, its fields differ; "
            "write `model: {choice: {LABEL: {family: …}, …}}`"
        ),
        (KERNEL, "  »family: {choice: [gmnet, timm]}"),
    ),
    "key of another family": (
        "model: unknown key 'widths'; there are: family, name, drop_path_rate, choice, int, float",
        (
            f"  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n{KERNEL}\n{GATE}",
            "  »widths: [16]\n  family: timm\n  name: resnet10t\n",
        ),
    ),
    "timm model without a name": (
        "model: name is missing; add `name: …`",
        (
            f"model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n{KERNEL}\n{GATE}",
            "»model: {family: timm}\n",
        ),
    ),
    "value of a timm model out of range": (
        "model.drop_path_rate: expected a number from 0 below 1, got 2.0",
        (
            f"model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n{KERNEL}\n{GATE}",
            "model: {family: timm, name: resnet10t, drop_path_rate: »2}\n",
        ),
    ),
    "misspelt preset": (
        (
            "model.preset: 'gmnet_s5' is not one of gmnet_s1, gmnet_s2, gmnet_s3, gmnet_s4; "
            "did you mean 'gmnet_s4'?"
        ),
        (KERNEL, "  preset: »gmnet_s5"),
    ),
    "presets of several families": (
        (
            "model.preset: these are presets of gmnet and resnet18; "
            "write `model: {choice: {LABEL: {preset: …}, …}}`"
        ),
        (KERNEL, "  »preset: {choice: [gmnet_s3, res18]}"),
    ),
    "preset of another family": (
        (
            "model.preset: 'gmnet_s3' is not one of res18, res18_ewp, res18_gate_relu6, "
            "res18_gate_gelu"
        ),
        (
            f"model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n{KERNEL}\n{GATE}",
            "model: {family: resnet18, preset: »gmnet_s3}\n",
        ),
    ),
    "placement of another family": (
        "model.gate.placement: expected one of inner, outer, got 'depthwise'",
        (
            f"model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n{KERNEL}\n{GATE}",
            "model: {preset: res18_ewp, gate: {placement: »depthwise}}\n",
        ),
    ),
    "misspelt activation": (
        (
            "model.gate.activation: 'rellu6' is not one of identity, relu, relu6, "
            "leaky_relu, gelu, "
            "silu, hardswish, sigmoid, tanh, softplus, mish, squared_relu; did you mean 'relu6'?"
        ),
        ("{choice: [relu, relu6, gelu]}", "»rellu6"),
    ),
    "unknown placement in a list": (
        (
            "model.gate.placement: 'middle' is not one of input, expand, output, inner, outer, "
            "depthwise, both, default"
        ),
        ("placement: expand", "placement: [expand, »middle]"),
    ),
    "stage that is no integer": (
        "model.gate.stages: 'first' is not an integer",
        ("stages: all", "stages: [0, »first]"),
    ),
    "number in quotes": (
        "train.lr: '3e-3' is not a number; remove the quotes",
        ("lr: 3e-3", 'lr: »"3e-3"'),
    ),
    "number in quotes within a list": (
        "model.widths: '32' is not an integer; remove the quotes",
        ("[16, 32, 64]", '[16, »"32", 64]'),
    ),
    "fraction for an integer": (
        "train.epochs: 8.5 is not an integer",
        ("epochs: 8", "epochs: »8.5"),
    ),
    "boolean for an integer": (
        "train.epochs: true is not an integer",
        ("epochs: 8", "epochs: »true"),
    ),
    "off is a word": (
        "train.clip_grad: 'off' is not a number or none",
        ("epochs: 8", "epochs: 8, clip_grad: »off"),
    ),
    "nothing for a value": (
        "train.epochs: is empty, must be an integer",
        ("epochs: 8", "»epochs: "),
    ),
    "list for a number": ("train.lr: [1, 2] is not a number", ("lr: 3e-3", "lr: »[1, 2]")),
    "mapping for a number": (
        "train.lr: a mapping is not a number, nor a domain; did you mean 'choice'?",
        ("lr: 3e-3", "lr: {»chioce: [1, 2]}"),
    ),
    "word for a subtree": (
        "train: 'fast' is not a mapping of `key: value`",
        ("train: {epochs: 8, lr: 3e-3}", "train: »fast"),
    ),
    "misspelt optimizer": (
        "train.optimizer: 'adam' is not one of adamw, sgd; did you mean 'adamw'?",
        ("epochs: 8", "epochs: 8, optimizer: »adam"),
    ),
    "key of the recipe that is none": (
        "train: unknown key 'weight_dacay'; did you mean 'weight_decay'?",
        ("epochs: 8", "epochs: 8, »weight_dacay: 0.1"),
    ),
    "value out of range": ("train.lr: expected a number above 0, got -1", ("lr: 3e-3", "lr: »-1")),
    "width of nothing": (
        "model.widths: expected a list of at least 1, each an integer from 1, got [16, 0, 64]",
        ("[16, 32, 64]", "»[16, 0, 64]"),
    ),
    "even kernel": (
        "model.kernel_size: expected a list, each an odd integer from 1, got [4]",
        (KERNEL, "  kernel_size: »4"),
    ),
    "lists of different length": (
        "model.depths: has 2 stages where widths has 3; give one per stage",
        ("depths: [1, 2, 1]", "depths: »[1, 2]"),
    ),
    "list that does not fit a preset": (
        "model.depths: has 4 stages where widths has 3; give one per stage",
        (
            "model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]",
            "»model:\n  preset: gmnet_s3\n  widths: [16, 32, 64]",
        ),
    ),
    "stage beyond the last": (
        "model.gate.stages: [3] are beyond the last stage, 2 (where gate.product is self)",
        (
            (
                "[none, self]}\n    activation: {choice: [relu, relu6, gelu]}\n    "
                "placement: expand\n"
                "    stages: all"
            ),
            "[none, »self]}\n    stages: [0, 3]",
        ),
    ),
    "values that do not fit each other": (
        "train.warmup_epochs: expected at most the 8 epochs of the schedule, got 9",
        ("epochs: 8", "epochs: 8, warmup_epochs: »9"),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_one_mistake_is_told_once_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """A file with one mistake gives one line, with its place, what is wrong and what is right."""
    message, edit = ROWS[name]

    (place,) = marked(edit)

    assert told(edit) == [f"{place}: {message}"]
