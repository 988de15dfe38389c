"""The section `search`: which candidates are trained, and how often each."""

from __future__ import annotations

from typing import Annotated, Any

from gmsearch.limits import Length, Limit, Natural, Seed, Text
from gmsearch.space.methods import special_options, users_of
from gmsearch.space.settings import Search
from gmsearch.spacefile.values import Spellings, build_from, read_values, section_schema
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import listing

MAX_REPEATS = 1000

_Repeats = Annotated[int, Limit(ge=1, le=MAX_REPEATS)]
_Seeds = Annotated[tuple[Seed, ...], Length(least=1)]
_Percent = Annotated[
    str, Text(pattern=r"(100|[1-9]?[0-9])(\.[0-9]+)?\s*%", words="a share such as 20%")
]
_SPELLINGS: Spellings = {
    "seeds": (
        _Repeats | _Seeds,
        f"a count from 1 to {MAX_REPEATS} or a non-empty list of seeds",
    ),
    "max_failed": (Natural | _Percent | None, "a count or a share such as 20%"),
}


def read_search(node: Node) -> Search | None:
    """Return the search; None where a value is wrong."""
    values = read_values(node, Search, _SPELLINGS)
    if values is None:
        return None
    seeds, share = values.given.get("seeds"), values.given.get("max_failed")
    if isinstance(seeds, int):
        values.given["seeds"] = tuple(range(seeds))
    if isinstance(share, str):
        values.given["max_failed"] = float(share.rstrip("% ")) / 100
    search: Search | None = build_from(node, Search, values)
    return search


def search_schema() -> dict[str, Any]:
    """Return the JSON Schema of the section."""
    section, candidates = section_schema(Search, _SPELLINGS), {"required": ["candidates"]}
    for option in special_options():
        section["properties"][option]["description"] += (
            f" Only used by {listing(users_of(option))}."
        )
    return {
        **section,
        "if": {"properties": {"method": {"enum": users_of("candidates")}}},
        "then": candidates,
        "else": {"not": candidates},
    }
