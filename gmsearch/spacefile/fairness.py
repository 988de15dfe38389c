"""The sections that make a comparison fair: `tune` and `match`."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.experiment import Recipe, recipe_from
from gmsearch.metrics import STATIC_METRICS, TIMED_METRICS, names, names_on
from gmsearch.networks import candidate_from
from gmsearch.space.domains import Tree, resolve
from gmsearch.space.settings import Match, Search, Tune, TuneOptions
from gmsearch.space.space import Space
from gmsearch.spacefile.forms import Form, fields_of, leaf_schema, misfit, refuse
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.nodes import Node
from gmsearch.spacefile.probes import sample
from gmsearch.spacefile.references import Drafts
from gmsearch.spacefile.sections import validated
from gmsearch.spacefile.tree import BROKEN
from gmsearch.wording import near, shown

MAX_VALUES = 64
"""Most combinations of values; each is a training run of every arm."""


def tunable() -> dict[str, Form]:
    """Return the fields of a recipe that hold a number, with their types."""
    forms = {name: field.form for name, field in fields_of(Recipe).items()}
    del forms["checkpoint_every"]  # the one that changes no weights
    return {n: f for n, f in forms.items() if misfit(f, 1) is None or misfit(f, 0.5) is None}


def tune_from_file(node: Node, drafts: Drafts, mistakes: Mistakes) -> Tune | None:
    """Return what is tuned, and how it is chosen; None where a part of it is mistaken."""
    if not isinstance(node.value, Mapping):
        mistakes.add(
            node.place,
            f"tune: {shown(node.plain())} is not a mapping; write {{lr: [1e-3, 3e-3, 1e-2]}}",
        )
        return None
    before, forms = len(mistakes), tunable()
    options = {key: child for key, child in node.mapping.items() if key in fields_of(TuneOptions)}
    leaves = {key: child for key, child in node.mapping.items() if key not in options}
    choosing = validated(TuneOptions, dataclasses.replace(node, value=options), "tune", mistakes)
    if not leaves:
        mistakes.add(node.key, "tune: names no parameter; write {lr: [1e-3, 3e-3, 1e-2]}")
    for key, child in leaves.items():
        if key not in forms:
            numeric = ", ".join(forms) if key in fields_of(Recipe) else None
            remedy = f"only numbers are tuned: {numeric}" if numeric else near(key, forms)
            mistakes.add(node.keys[key], f"tune: {key!r} cannot be tuned; {remedy}")
            continue
        _check_values(child, forms[key], f"tune.{key}", mistakes)
        for path, draft in drafts.items():
            if path.startswith("train.") and path.split(".")[-1] == key:
                mistakes.add(
                    draft.node.key,
                    f"{path}: is a domain and tuned as well; give one value here, or remove "
                    f"`{key}` from tune",
                )
    count = math.prod(len(c.value) for c in leaves.values() if isinstance(c.value, tuple))
    if count > MAX_VALUES:
        mistakes.add(
            node.key, f"tune: {count} combinations for every arm; give at most {MAX_VALUES}"
        )
    if choosing is None or len(mistakes) > before:
        return None
    return Tune(values={key: child.plain() for key, child in leaves.items()}, **choosing)


def _check_values(node: Node, form: Form, path: str, mistakes: Mistakes) -> None:
    """Add a mistake for what is no list of several numbers that are all different."""
    if not isinstance(node.value, tuple):
        mistakes.add(node.place, f"{path}: {shown(node.plain())} is not a list of numbers")
        return
    if len(node.value) < 2:
        mistakes.add(node.place, f"{path}: leaves no choice; give two values or more")
    seen: list[Any] = []
    for item in node.value:
        value = item.plain()
        if value in (None, "none") or misfit(form, value) is not None:
            refuse(item, (), _number(form), path, mistakes)
        elif value in seen:
            mistakes.add(item.place, f"{path}: {shown(value)} is there twice; remove one")
        seen.append(value)


def _number(form: Form) -> dict[str, Any]:
    """Return the schema of a number at a leaf: without the `none` it may take besides."""
    schema = leaf_schema(form)
    parts = [p for p in schema.get("anyOf", ()) if p.get("type") in ("integer", "number")]
    return parts[0] if parts else schema


def value_schema(form: Form) -> dict[str, Any]:
    """Return the schema of the values that are tried for one leaf."""
    return {"type": "array", "minItems": 2, "items": _number(form)}


def match_from_file(node: Node, mistakes: Mistakes) -> Match | None:
    """Return which cost is matched, and by what; None where a part of it is mistaken."""
    before = len(mistakes)
    told = {*STATIC_METRICS, *TIMED_METRICS} - {"flops", "params"}
    for key in told & node.mapping.keys():
        mistakes.add(
            node.keys[key],
            f"match: {key} cannot be matched, only flops and params; bound it by "
            f"`constraints: {{{key}: {{max: 1.05 x baseline}}}}`",
        )
    rest = node
    if isinstance(node.value, Mapping):
        rest = dataclasses.replace(
            node, value={key: child for key, child in node.mapping.items() if key not in told}
        )
    values = validated(Match, rest, "match", mistakes)
    if values is None or len(mistakes) > before:
        return None
    try:
        return Match(**values)
    except FieldError as error:
        mistakes.add(node.key, f"match: {error.message}")
        return None


def check_choosing(
    tune: Tune, bands: tuple[str, ...], search: Search | None, root: Node, mistakes: Mistakes
) -> None:
    """Add a mistake for a metric that is not measured, and a seed of which numbers are shown."""
    node = root.mapping["tune"].mapping
    known = (*names("trained"), *names_on(bands))
    if tune.metric not in known:
        mistakes.add(
            node["metric"].place,
            f"tune.metric: {shown(tune.metric)} is not measured after training; "
            f"{near(tune.metric, known)}",
        )
    if search is not None and tune.seed in search.seeds:
        place = node["seed"].place if "seed" in node else root.mapping["tune"].key
        mistakes.add(
            place,
            f"tune.seed: {tune.seed} is one of search.seeds, whose numbers are shown; "
            "give another",
        )
    data = root.mapping["data"].mapping
    if "holdout" in data and data["holdout"].value == 0:
        mistakes.add(
            data["holdout"].place,
            "data.holdout: tune chooses by the holdout; give a share above 0, such as 0.1",
        )


def check_tuned(space: Space, root: Node, mistakes: Mistakes) -> None:
    """Add a mistake for a value that some recipe of the space cannot take, or that does nothing.

    Of a recipe that is mistaken itself nothing is said.
    """
    assert space.tune is not None, "a space that tunes"
    recipes = list(_recipes(space))
    for name, values in space.tune.values.items():
        places = root.mapping["tune"].mapping[name].value
        items = places if isinstance(places, tuple) else ()
        before = len(mistakes)
        for value, item in zip(values, items, strict=True):
            try:
                for recipe in recipes:
                    _with(recipe, name, value)
            except FieldError as error:
                mistakes.add(item.place, f"tune.{name}: {error.message}")
        if (
            recipes
            and len(mistakes) == before
            and all(
                len({_with(recipe, name, value) for value in values}) == 1 for recipe in recipes
            )
        ):
            mistakes.add(
                root.mapping["tune"].keys[name],
                f"tune.{name}: makes no difference to the recipe in `train`; remove it",
            )


def _with(recipe: Recipe, name: str, value: float) -> Recipe:
    change: dict[str, Any] = {name: value}
    return dataclasses.replace(recipe, **change)


def _recipes(space: Space) -> Iterator[Recipe]:
    """Yield the different recipes of a space, or of a sample of it; of sound ones."""
    for tree in _resolved(space, space.train):
        with contextlib.suppress(FieldError):
            yield recipe_from(tree)


def _resolved(space: Space, section: Tree) -> Iterator[Any]:
    """Yield what model or recipe is under the assignments of a space, each once."""
    if section is None or section is BROKEN:
        return
    by_path = {parameter.path: parameter for parameter in space.parameters}
    seen = set()
    for assignment in sample(space):
        tree = resolve(section, assignment, by_path)
        if repr(tree) not in seen:
            seen.add(repr(tree))
            yield tree


def check_matched(space: Space, root: Node, mistakes: Mistakes) -> None:
    """Add a mistake where there is no baseline to match, or a family without what is scaled."""
    assert space.match is not None, "a space that matches"
    node, match = root.mapping["match"], space.match
    if space.baseline is None:
        if "baseline" not in root.mapping:
            mistakes.add(
                node.mapping[match.metric].place,
                f"match.{match.metric}: there is no baseline; add `baseline: {{PATH: VALUE, …}}`",
            )
        return
    unscaled: set[str] = set()
    for tree in _resolved(space, space.model):
        with contextlib.suppress(FieldError):
            candidate = candidate_from(tree)
            unscaled |= set() if hasattr(candidate, match.by) else {candidate.family}
    for family in sorted(unscaled):
        place = node.mapping["by"].place if "by" in node.mapping else node.key
        mistakes.add(place, f"match.by: a candidate of family {family} has no {match.by} to scale")
