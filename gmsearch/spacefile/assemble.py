"""From the nodes of a space file to a space: every section once, then what ties them."""

from __future__ import annotations

from pathlib import Path

from gmsearch.experiment import DATA_SPECS, Bands, Recipe, Spectral
from gmsearch.networks import Candidate, Gate, GmNetSpec
from gmsearch.space.domains import Tree
from gmsearch.space.settings import Match, Resources, Search, TuneOptions
from gmsearch.space.space import Space
from gmsearch.spacefile.fairness import (
    check_choosing,
    check_matched,
    check_tuned,
    match_from_file,
    tune_from_file,
)
from gmsearch.spacefile.fit import Judge
from gmsearch.spacefile.forms import fields_of
from gmsearch.spacefile.goals import constraints_from, objectives_from
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.nodes import Node
from gmsearch.spacefile.plugins import PluginLoader, load_plugins
from gmsearch.spacefile.references import (
    baseline_from,
    dependency_order,
    forbid_from,
    lean_on_mistakes,
    parameters_from,
)
from gmsearch.spacefile.rules import (
    bands_from_file,
    check_constraints,
    check_forbid,
    check_holdout,
    check_method,
    data_from_file,
    plugins_from_file,
    resources_from_file,
    search_from_file,
)
from gmsearch.spacefile.sections import REQUIRED, SECTIONS, Name, validated
from gmsearch.spacefile.tree import TreeReader
from gmsearch.wording import closest, near

_EMPTY = Node({}, (1, 1), (1, 1))


def assemble(
    root: Node, source: str, data_root: Path | None, loader: PluginLoader, mistakes: Mistakes
) -> Space:
    """Return the space that the nodes of a file say.

    Every section is read, whatever is wrong with the others. Unless `mistakes` stays empty the
    space is none to work with: what stands for a mistaken section is arbitrary.
    """
    given = root.mapping.get
    _check_keys(root, mistakes)
    head = {key: root.mapping[key] for key in ("study", "about") if key in root.mapping}
    name = validated(Name, Node(head, (1, 1), (1, 1)), "", mistakes) or {"study": "", "about": ""}
    named = given("plugins", _EMPTY)
    references = plugins_from_file(named, mistakes) if "plugins" in root.mapping else ()
    plugins = load_plugins(named, name["study"], references, loader, mistakes)
    data = data_from_file(node, data_root, mistakes) if (node := given("data")) else None
    bands = bands_from_file(given("bands", _EMPTY), given("data", _EMPTY), mistakes)
    objectives = objectives_from(node, bands, mistakes) if (node := given("objectives")) else None
    constraints = constraints_from(given("constraints", _EMPTY), bands, mistakes)
    search = search_from_file(node, mistakes) if (node := given("search")) else None
    resources = resources_from_file(given("resources", _EMPTY), mistakes)

    reader = TreeReader(mistakes)
    model: Tree = reader.read(node, Candidate, "model") if (node := given("model")) else None
    train = reader.read(given("train", _EMPTY), Recipe, "train")
    drafts, told = reader.drafts, len(mistakes)
    parameters = parameters_from(drafts, mistakes)
    order = dependency_order(parameters, drafts, mistakes)
    forbid = forbid_from(node, drafts, mistakes) if (node := given("forbid")) else None
    tied = len(mistakes) == told and not lean_on_mistakes(drafts, given("forbid"))
    baseline = (
        baseline_from(node, order, drafts, mistakes) if (node := given("baseline")) else None
    )

    tune = tune_from_file(node, drafts, mistakes) if (node := given("tune")) else None
    match = match_from_file(node, mistakes) if (node := given("match")) else None
    space = Space(
        study=name["study"],
        about=name["about"],
        source=source,
        model=model,
        train=train,
        parameters=parameters,
        order=order,
        baseline=baseline,
        forbid=forbid or (),
        data=data or Spectral(),
        bands=bands or Bands(),
        objectives=objectives or (),
        constraints=constraints,
        search=search or Search(method="grid"),
        resources=resources or Resources(),
        tune=tune,
        match=match,
        plugins=plugins,
    )
    if search is not None:
        check_method(search, drafts, root, mistakes)
    if data is not None:
        check_holdout(data, bands, search, root, mistakes)
    check_constraints(constraints, root, mistakes)
    if tune is not None and data is not None and bands is not None:
        check_choosing(tune, bands.metrics, search, root, mistakes)
    _judge(space, Judge(space, root, drafts, mistakes, data), root, mistakes, tied=tied)
    return space


def _judge(space: Space, judge: Judge, root: Node, mistakes: Mistakes, *, tied: bool) -> None:
    """Judge what the space allows; `tied` is whether conditions and `forbid` are sound."""
    if tied:
        check_forbid(space, root, mistakes)
        told = len(mistakes)
        judge.judge()
        # On values that make no arm, these would say what is said already.
        if space.tune is not None and len(mistakes) == told:
            check_tuned(space, root, mistakes)
        if space.match is not None and len(mistakes) == told:
            check_matched(space, root, mistakes)
    elif len(space.order) == len(space.parameters):
        judge.judge_fixed()


def _check_keys(root: Node, mistakes: Mistakes) -> None:
    """Tell every section that is unknown or missing; `study` is told with its form."""
    owners, meant = _owners(), set()
    for key, place in root.keys.items():
        if key not in SECTIONS:
            owner = owners.get(key)
            meant.add(closest(key, SECTIONS))
            remedy = f"it belongs to `{owner}`" if owner else near(key, SECTIONS)
            mistakes.add(place, f"unknown key {key!r}; {remedy}")
    for key in REQUIRED:
        if key not in {*root.mapping, *meant, "study"}:
            mistakes.add((1, 1), f"{key} is missing; add `{key}: …`")


def _owners() -> dict[str, str]:
    """Return in which section every key of a section belongs, the commonest last."""
    sections: list[tuple[str, type[object]]] = [
        ("tune", TuneOptions),
        ("match", Match),
        ("resources", Resources),
        ("bands", Bands),
        *(("data", cls) for cls in DATA_SPECS.values()),
        ("search", Search),
        ("train", Recipe),
        ("model.gate", Gate),
        ("model", GmNetSpec),
    ]
    return {key: section for section, cls in sections for key in fields_of(cls)}
