"""Settings of a space checked outside a file, and digests that never change."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from gmsearch.errors import FieldError
from gmsearch.limits import OneOf
from gmsearch.space import Match, Resources, Search, Space, Tune
from gmsearch.spacefile import load_space
from gmsearch.spacefile.fields import find_type_errors, leaf_schema
from gmsearch.tables import Table

RELEASED = Path(__file__).parents[3] / "shared" / "studies" / "v0.1"
DIGESTS = {
    "gate_ablation": "dcc85c13e4726fcf",
    "search_small": "013b259899d748cc",
    "tuned_small": "c223498a5bb63392",
}


@pytest.mark.parametrize(
    ("cls", "fields", "paths"),
    [
        (Search, {"method": "bayes"}, ["method"]),
        (Search, {"method": "tpe", "population": 1, "seeds": ()}, ["seeds", "population"]),
        (Search, {"method": "tpe", "population": 8}, ["candidates", "population"]),
        (Search, {"method": "grid", "candidates": 3, "seed": -1}, ["seed", "candidates"]),
        (Search, {"method": "grid", "seeds": (3, 1, 3)}, ["seeds.2"]),
        (Search, {"method": ["grid"], "max_failed": 1.5}, ["method", "max_failed"]),
        (Resources, {"cpus": 0, "gpus": -1}, ["cpus", "gpus"]),
        (Tune, {"values": {}, "seed": 2**32}, ["seed", "values"]),
        (Tune, {"values": {"lr": (1e-3, 1e-3)}, "per": "trial"}, ["per", "values.lr.1"]),
        (Match, {"flops": "baseline", "tolerance": 1.0}, ["tolerance"]),
        (Match, {"by": "width"}, ["by", ""]),
    ],
)
def test_settings_check_themselves(cls: Any, fields: dict[str, Any], paths: list[str]) -> None:
    """Values that a file could not give are refused in Python too, all of them at once."""
    with pytest.raises(FieldError) as caught:
        cls(**fields)

    named = [error.path for error in caught.value.errors]
    assert [path for path in named if path in paths] == paths
    assert named == list(dict.fromkeys(named))


@pytest.mark.skipif(not RELEASED.exists(), reason="needs studies of released versions")
@pytest.mark.parametrize("study", DIGESTS)
def test_digests_of_released_studies_never_change(study: str, tmp_path: Path) -> None:
    """The space of a stored study keeps its digest, so that the study can be resumed."""
    assert load_space(RELEASED / study / "space.yaml", data_root=tmp_path).digest == DIGESTS[study]


def test_names_that_a_table_gains_are_accepted() -> None:
    """A name registered after a type was used is accepted, and listed in the schema."""
    table = Table("colour", {"red": 1})
    colour = Annotated[str, OneOf(table)]
    assert find_type_errors(colour, "blue") == [()]
    assert leaf_schema(colour)["enum"] == ["red"]

    table.register("blue", 2)

    assert find_type_errors(colour, "blue") == []
    assert leaf_schema(colour)["enum"] == ["red", "blue"]


def test_some_arms_are_all_of_a_small_space_and_new_ones_of_a_large(
    load: Callable[..., Space],
) -> None:
    """Every arm of a small space comes once, in order; of a larger one, distinct random arms."""
    space = load()
    everything = [arm.digest for _, arm in space.arms()]

    assert space.at_most(6)
    assert not space.at_most(5)
    assert [arm.digest for _, arm in space.some(6, random.Random(0))] == everything
    drawn = [arm.digest for _, arm in space.some(4, random.Random(0))]
    assert len(set(drawn)) == 4
    assert set(drawn) <= set(everything)
    assert drawn == [arm.digest for _, arm in space.some(4, random.Random(0))]
