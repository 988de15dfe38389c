"""Mistakes in the names of sections, and in those that name parameters: baseline, forbid."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PARAMETERS = "there are: gate.product, gate.activation"

ROWS: dict[str, tuple[str, tuple[str, str]]] = {
    "misspelt section": (
        "unknown key 'serach'; did you mean 'search'?",
        ("search:", "»serach:"),
    ),
    "key of a section at the top": (
        "unknown key 'epochs'; it belongs to `train`",
        ("", "»epochs: 3\n"),
    ),
    "name with a slash": (
        (
            "study: 'a/b' is not a name of at most 100 letters, digits, `_`, `-` and `.`, "
            "a letter or "
            "digit first"
        ),
        ("bare", "»a/b"),
    ),
    "name that is a number": (
        (
            "study: 2024 is not a name of at most 100 letters, digits, `_`, `-` and `.`, a "
            "letter or "
            "digit first; put it in quotes"
        ),
        ("bare", "»2024"),
    ),
    "name of the parent folder": (
        (
            "study: '..' is not a name of at most 100 letters, digits, `_`, `-` and `.`, a "
            "letter or "
            "digit first"
        ),
        ("bare", "».."),
    ),
    "about a list": ("about: [1] is not a word", ("bare", "bare\nabout: »[1]")),
    "baseline outside the domain": (
        "baseline: gate.product: 'dw' is not one of its options; there are: none, self",
        ("", "baseline: {gate.product: »dw, gate.activation: relu}\n"),
    ),
    "misspelt option in the baseline": (
        "baseline: gate.activation: 'relu7' is not one of its options; did you mean 'relu'?",
        ("", "baseline: {gate.product: none, gate.activation: »relu7}\n"),
    ),
    "misspelt parameter in the baseline": (
        "baseline: 'gate.activaton' is not a parameter; did you mean 'gate.activation'?",
        ("", "baseline: {gate.product: none, »gate.activaton: relu}\n"),
    ),
    "train parameter without its section": (
        f"baseline: 'lr' is not a parameter; {PARAMETERS}",
        ("", "baseline: {»lr: 3e-3, gate.product: none, gate.activation: relu}\n"),
    ),
    "parameter without a value in the baseline": (
        "baseline: gate.activation has no value; add `gate.activation: relu` or another",
        ("", "»baseline: {gate.product: none}\n"),
    ),
    "value for a parameter that does not exist": (
        "baseline: gate.placement exists only where gate.product is self; remove it, or set that",
        (
            "placement: expand\n    stages: all",
            (
                "placement: {choice: [input, output], when: {gate.product: self}, else: expand}"
                "\nbaseline: {gate.product: none, gate.activation: relu, »gate.placement: input}"
            ),
        ),
    ),
    "value given in both spellings": (
        "baseline: 'gate.product' is given twice; remove one",
        (
            "",
            "baseline: {gate.product: none, »model.gate.product: self, gate.activation: relu}\n",
        ),
    ),
    "baseline as a list": (
        "baseline: [none, relu] is not a mapping {PATH: VALUE, …}",
        ("", "baseline: »[none, relu]\n"),
    ),
    "baseline forbidden": (
        (
            "baseline: {gate.product: none, gate.activation: relu} is forbidden; change it, or "
            "`forbid`"
        ),
        (
            "",
            (
                "»baseline: {gate.product: none, gate.activation: relu}\n"
                "forbid: [{gate.activation: relu}]\n"
            ),
        ),
    ),
    "forbid as a mapping": (
        "forbid: {gate.product: none} is not a list; write `- {PATH: VALUE, …}`",
        ("", "forbid: »{gate.product: none}\n"),
    ),
    "forbid of a word": (
        "forbid.1: 'none' is not a mapping {PATH: VALUE, …}",
        ("", "forbid: [{gate.product: none}, »none]\n"),
    ),
    "forbid of everything": (
        "forbid.0: {} forbids everything; name a parameter",
        ("", "forbid: [»{}]\n"),
    ),
    "forbid of what is no option": (
        "forbid.0: gate.product: 'dw' is not one of its options; there are: none, self",
        ("", "forbid: [{gate.product: »dw}]\n"),
    ),
    "forbid of all": (
        "forbid: leaves no candidate; remove an entry",
        ("", "»forbid: [{gate.product: none}, {gate.product: self}]\n"),
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
