"""Limits written in annotations: every broken field reported, by us and by pydantic alike."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import pydantic
import pytest

from gmsearch.errors import FieldError
from gmsearch.limits import (
    Length,
    Limit,
    OddKernel,
    OneOf,
    Positive,
    Probability,
    Seed,
    Share,
    Text,
    broken,
    check,
)

TABLE = {"red": 1}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One field of every kind."""

    count: Positive = 1
    share: Share | None = None
    word: Literal["x", "y"] = "x"
    kernels: tuple[OddKernel, ...] = (3,)
    pair: tuple[Probability, Probability] = (0.0, 1.0)
    name: Annotated[str, Text(pattern=r"[a-z]+", words="a lower-case word")] = "k"
    seeds: Annotated[tuple[Seed, ...], Length(least=1)] | Annotated[int, Limit(ge=1)] = (0,)
    colour: Annotated[str, OneOf(TABLE)] = "red"

    def __post_init__(self) -> None:
        """Check the annotations, and one rule they cannot state."""
        check(self, (self.count != 13, "count", "13 is unlucky"))


WRONG: list[tuple[str, Any, str]] = [
    ("count", 0, "expected an integer from 1, got 0"),
    ("count", True, "expected an integer from 1, got true"),
    ("count", 1.0, "expected an integer from 1, got 1.0"),
    ("count", 13, "13 is unlucky"),
    ("share", 1.0, "expected a number from 0 below 1 or none, got 1.0"),
    ("share", float("nan"), "expected a number from 0 below 1 or none, got nan"),
    ("word", "z", "expected one of x, y, got 'z'"),
    ("kernels", (3, 4), "expected a list, each an odd integer from 1, got [3, 4]"),
    ("pair", (1,), "expected a list [a number from 0 to 1, a number from 0 to 1], got [1]"),
    ("name", "A", "expected a lower-case word, got 'A'"),
    (
        "seeds",
        (),
        (
            "expected a list of at least 1, each an integer from 0 to 4294967295 or an integer "
            "from 1, got []"
        ),
    ),
    ("colour", "blue", "expected one of red, got 'blue'"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG)
def test_a_broken_field_is_named_with_what_was_expected(
    field: str, value: Any, message: str
) -> None:
    """The path is the field, the message says what was expected and what came."""
    with pytest.raises(FieldError) as caught:
        Spec(**{field: value})
    assert (caught.value.path, caught.value.message) == (field, message)
    assert len(caught.value.errors) == 1


def test_all_broken_fields_are_reported_at_once() -> None:
    """In the order of the fields; a rule on a field that is broken already adds nothing."""
    values = {field: value for field, value, _ in reversed(WRONG) if field != "count"}
    with pytest.raises(FieldError) as caught:
        Spec(count=0, **values)
    assert [error.path for error in caught.value.errors] == [
        field.name for field in dataclasses.fields(Spec)
    ]


def test_broken_names_fields_without_raising() -> None:
    """`broken` is what `check` would report."""
    spec = Spec()
    object.__setattr__(spec, "count", -1)
    assert broken(spec) == {"count"}


def test_a_table_may_grow() -> None:
    """A name added to the table after the class was made is taken from then on."""
    TABLE["green"] = 2
    try:
        assert Spec(colour="green").colour == "green"
    finally:
        del TABLE["green"]


@pytest.mark.parametrize(("field", "value", "message"), WRONG)
def test_pydantic_reads_the_same_annotations(field: str, value: Any, message: str) -> None:
    """What `check` refuses by annotation pydantic refuses too, but for odd numbers."""
    hints = Spec.__dataclass_fields__[field].type
    hint = eval(hints, globals())  # noqa: S307 - the annotation of our own class
    config = pydantic.ConfigDict(strict=True, allow_inf_nan=False)
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(hint, config=config)
    adapter.validate_python(getattr(Spec(), field))
    if field == "kernels" or message == "13 is unlucky":
        return
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python(value)
