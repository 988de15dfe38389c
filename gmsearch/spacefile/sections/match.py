"""The section `match`: a cost that every candidate shares with the baseline."""

from __future__ import annotations

from typing import Any

from gmsearch.metrics import STATIC_METRICS, TIMED_METRICS
from gmsearch.space.settings import Match
from gmsearch.space.space import Space
from gmsearch.spacefile.probes import candidates
from gmsearch.spacefile.values import build_from, read_values, section_schema
from gmsearch.spacefile.yaml import Node

_COSTS = ("flops", "params")


def read_match(node: Node) -> Match | None:
    """Return which cost is matched, and by which field; None where a value is wrong."""
    costs = (*STATIC_METRICS, *TIMED_METRICS)
    others = [key for key in node.mapping if key in costs and key not in _COSTS]
    for key in others:
        node.wrong(
            f"{key} cannot be matched, only flops and params; bound it instead by "
            f"`constraints: {{{key}: {{max: 1.05 x baseline}}}}`",
            node.keys[key],
        )
    values = read_values(node.without(*others) if others else node, Match)
    if values is None:
        return None
    values.wrong |= set(others)
    match: Match | None = build_from(node, Match, values)
    return match


def check_match(space: Space, root: Node) -> None:
    """Report a missing baseline, and families without the field that is scaled."""
    node, match = root.mapping["match"], space.match
    assert match is not None, "a space that matches"
    if space.baseline is None:
        if "baseline" not in root.mapping:
            node.mapping[match.metric].wrong(
                "there is no baseline; add `baseline: {PATH: VALUE, …}`"
            )
        return
    families = {c.family for c in candidates(space) if not hasattr(c, match.by)}
    for family in sorted(families):
        at = node.mapping["by"].position if "by" in node.mapping else node.key
        node.named("match.by").wrong(
            f"a candidate of family {family} has no {match.by} to scale", at
        )


def match_schema() -> dict[str, Any]:
    """Return the JSON Schema of the section."""
    return {**section_schema(Match), "oneOf": [{"required": [name]} for name in _COSTS]}
