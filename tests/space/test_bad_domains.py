"""Mistakes in domains, conditions, baseline and forbid: each told alone, at its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PRODUCT = "{choice: [none, self]}"
KERNEL = "  kernel_size: 5"
LR = "lr: 3e-3"
PLACEMENT = "placement: expand"

ROWS: dict[str, tuple[str, tuple[str, str]]] = {
    "empty choice": (
        "model.gate.product: choice: is empty; give at least one option",
        (PRODUCT, "{choice: »[]}"),
    ),
    "misspelt option": (
        (
            "model.gate.product: 'selff' is not one of none, self, ln, dw, fc, split, pool; "
            "did you mean 'self'?"
        ),
        ("[none, self]", "[none, »selff]"),
    ),
    "option given twice": (
        "model.gate.product: choice: has 'none' twice; remove one",
        ("[none, self]", "»[none, self, none]"),
    ),
    "choice of one word": (
        "model.gate.product: choice: 'self' is neither a list of values nor labels with them",
        ("[none, self]", "»self"),
    ),
    "options that are mappings, without labels": (
        (
            "model.gate.product: choice: has options that are mappings; give each a label: "
            "{choice: {LABEL: …, LABEL: …}}"
        ),
        ("[none, self]", "»[none, {choice: [self, dw]}]"),
    ),
    "domain in an option without a label": (
        "model.kernel_size.1: a domain cannot stand here; write a value or a label",
        (KERNEL, "  kernel_size: {choice: [5, [3, »{int: [3, 5], step: 2}, 3]]}"),
    ),
    "label with a dot": (
        (
            "model.gate.product: label 'a.b' must be a word of letters, digits, _, + and "
            "-, and not "
            "model or train"
        ),
        ("[none, self]", "{none: none, »a.b: self}"),
    ),
    "label that is a number": (
        "key 1 is not a word; name it, or quote it",
        ("[none, self]", "{one: self, »1: none}"),
    ),
    "label of nothing": (
        "model.gate.product.self: is empty, must be one of none, self, ln, dw, fc, split, pool",
        ("[none, self]", "{none: none, »self}"),
    ),
    "two kinds of domain": (
        "train.lr: float stands beside choice; give one of them",
        (LR, "lr: {choice: [1e-3, 3e-3], »float: [1e-3, 1e-2]}"),
    ),
    "unknown key beside a domain": (
        "train.lr: unknown key 'lgo'; did you mean 'log'?",
        (LR, "lr: {float: [1e-3, 1e-2], steps: 3, »lgo: true}"),
    ),
    "integers for a word": (
        (
            "model.gate.product: int: does not fit, it must be one of none, self, ln, dw, "
            "fc, split, "
            "pool; use `choice`"
        ),
        (PRODUCT, "{int: »[0, 3]}"),
    ),
    "fractions for an integer": (
        (
            "model.kernel_size: float: does not fit, it must be an integer or a list of such; "
            "use `int`"
        ),
        (KERNEL, "  kernel_size: {float: »[3, 5], steps: 2}"),
    ),
    "integers for a subtree": (
        "model.gate: int: does not fit, it must be a subtree; use `choice`",
        (
            (
                "  gate:\n    product: {choice: [none, self]}\n"
                "    activation: {choice: [relu, relu6, gelu]}\n    placement: expand\n"
                "    stages: all"
            ),
            "  gate: {int: »[1, 2]}",
        ),
    ),
    "range of one end": (
        "train.lr: float: 3 is not a list [a number, a number]",
        (LR, "lr: {float: »3, steps: 2}"),
    ),
    "range upside down": (
        (
            "train.lr: float: [0.01, 0.001] has no room; give the lower end first, or write the "
            "value itself"
        ),
        (LR, "lr: {float: »[1e-2, 1e-3], steps: 2}"),
    ),
    "logarithm of zero": (
        "train.lr: float: starts at 0.0, which has no logarithm; start above 0",
        (LR, "lr: {float: »[0, 1e-2], log: true, steps: 2}"),
    ),
    "step that misses the end": (
        "model.kernel_size: int: 8 is not reached from 3 in steps of 2; end it at 7 or 9",
        (KERNEL, "  kernel_size: {int: »[3, 8], step: 2}"),
    ),
    "step and logarithm": (
        "model.kernel_size: step: stands beside `log: true`; give one of them",
        (KERNEL, "  kernel_size: {int: [3, 7], step: »2, log: true}"),
    ),
    "step of nothing": (
        "model.kernel_size: step: 0 is not an integer from 1",
        (KERNEL, "  kernel_size: {int: [3, 7], step: »0}"),
    ),
    "yes is a word": (
        "train.lr: log: 'yes' is not true or false",
        (LR, "lr: {float: [1e-3, 1e-2], steps: 2, log: »yes}"),
    ),
    "one step": (
        "train.lr: steps: 1 is not an integer from 2 to 1000",
        (LR, "lr: {float: [1e-3, 1e-2], steps: »1}"),
    ),
    "continuous domain on a grid": (
        "train.lr: grid needs single values; add `steps: N` beside it",
        (LR, "lr: »{float: [1e-3, 1e-2]}"),
    ),
    "one option of several is out of range": (
        "model.kernel_size: expected a list, each an odd integer from 1, got [4]",
        (KERNEL, "  kernel_size: {choice: [3, »4, 5]}"),
    ),
    "lower end of a range is out of range": (
        "train.lr: expected a number above 0, got 0.0",
        (LR, "lr: {float: »[0, 1e-2], steps: 3}"),
    ),
    "option that does not fit the rest": (
        (
            "model.depths: has 3 stages where widths has 2; give one per stage "
            "(where widths is [8, 16])"
        ),
        ("[16, 32, 64]", "{choice: [[16, 32, 64], »[8, 16]]}"),
    ),
    "parameters that do not fit each other": (
        (
            "model.gate.stages: [2] are beyond the last stage, 1 (where gate.product is self, "
            "gate.stages is [2]; "
            "forbid the combination, or tie them by `when`)"
        ),
        (
            (
                "[16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n  gate:\n"
                "    product: {choice: [none, self]}\n    activation: {choice: [relu, "
                "relu6, gelu]}\n"
                "    placement: expand\n    stages: all"
            ),
            (
                "{choice: [[8, 16]]}\n  depths: {choice: [[1, 1]]}\n  gate:\n"
                "    product: {choice: [none, self]}\n    stages: {choice: [all, »[2]]}"
            ),
        ),
    ),
    "condition without else": (
        "gate.placement: when: there is no value for where it is false; add `else: …`",
        (PLACEMENT, "placement: {choice: [input, output], »when: {gate.product: self}}"),
    ),
    "else without condition": (
        "gate.placement: `else` without `when`; say when the domain holds, or remove it",
        (PLACEMENT, "placement: {choice: [input, output], »else: expand}"),
    ),
    "condition on nothing": (
        "gate.placement: when: 'always' names no parameter; write {PATH: VALUE}",
        (PLACEMENT, "placement: {choice: [input, output], when: »always, else: expand}"),
    ),
    "condition on a misspelt parameter": (
        "gate.placement: when: 'gate.prodct' is not a parameter; did you mean 'gate.product'?",
        (
            PLACEMENT,
            "placement: {choice: [input, output], when: {»gate.prodct: self}, else: expand}",
        ),
    ),
    "condition on a fixed value": (
        (
            "gate.placement: when: 'kernel_size' is not a parameter; there are: gate.product, "
            "gate.activation, gate.placement"
        ),
        (PLACEMENT, "placement: {choice: [input, output], when: {»kernel_size: 5}, else: expand}"),
    ),
    "condition on a value that is no option": (
        (
            "gate.placement: when: gate.product: 'dw' is not one of its options; there are: "
            "none, self"
        ),
        (
            PLACEMENT,
            (
                "placement: {choice: [input, output], when: {gate.product: [self, »dw]}, "
                "else: expand}"
            ),
        ),
    ),
    "else out of range": (
        (
            "model.gate.placement.else: 'middle' is not one of input, expand, output, inner, "
            "outer, depthwise, both, default or a list of such"
        ),
        (
            PLACEMENT,
            "placement: {choice: [input, output], when: {gate.product: self}, else: »middle}",
        ),
    ),
    "cycle of one": (
        (
            "gate.placement: when: a cycle, gate.placement needs gate.placement; remove "
            "one of the "
            "conditions"
        ),
        (
            PLACEMENT,
            "placement: {choice: [input, output], »when: {gate.placement: input}, else: expand}",
        ),
    ),
    "cycle of two": (
        (
            "gate.placement: when: a cycle, gate.placement needs gate.stages needs "
            "gate.placement; "
            "remove one of the conditions"
        ),
        (
            f"{PLACEMENT}\n    stages: all",
            (
                "placement: {choice: [input, output], »when: {gate.stages: all}, else: expand}\n"
                "    stages: {choice: [all, [0]], when: {gate.placement: input}, else: all}"
            ),
        ),
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
