"""A space: the contents of a space file, and the arms it allows."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.experiment import (
    Arm,
    Bands,
    Constraint,
    DataSpec,
    Objective,
    PluginFile,
    recipe_from,
)
from gmsearch.networks import candidate_from
from gmsearch.plain import Assignment, Value, canonical_json, digest, frozen, plain
from gmsearch.space.changes import Change, changes
from gmsearch.space.counting import count_assignments, enumerate_assignments
from gmsearch.space.domains import Choice, Domain, Int, Parameter, Slot, Tree, draw, fill_slots
from gmsearch.space.sampling import ArmDrawer
from gmsearch.space.settings import Match, Resources, Search, Tune
from gmsearch.wording import compact, near


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """One space file without mistakes; `load_space` returns it."""

    study: str
    about: str
    source: str
    """The text of the file."""

    model: Tree
    """Argument of `candidate_from`, with a slot for each parameter."""
    train: Tree
    """Argument of `recipe_from`, with a slot for each parameter."""
    parameters: tuple[Parameter, ...]
    """The parameters in the order of the file."""
    order: tuple[Parameter, ...]
    """The parameters, each after those it depends on."""

    baseline: Assignment | None
    forbid: tuple[Assignment, ...]
    data: DataSpec
    bands: Bands
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    search: Search
    resources: Resources
    tune: Tune | None = None
    match: Match | None = None
    plugins: tuple[PluginFile, ...] = ()
    """Plugins that the file names, with the digest of each."""

    def draw(self, suggest: Callable[[Parameter], Value]) -> Assignment:
        """Return the assignment with a value from `suggest` for every active parameter.

        Every sampler is built on this. `suggest` is called after the parameters that this one
        depends on have values, and returns a member of `parameter.domain`.
        """
        return self._sorted(draw(self.order, suggest))

    def assignments(self) -> Iterator[Assignment]:
        """Yield the full factorial before `forbid`, the last parameter changing fastest.

        Raises:
            FieldError: at the call, for a float domain without steps.
        """
        return map(self._sorted, enumerate_assignments(self.order))

    def count(self) -> int | None:
        """Return the exact number of assignments after `forbid`; None if a domain is continuous.

        Several assignments may be the same arm; see `arms`.
        """
        return count_assignments(self.order, self.forbid)

    def arms(self) -> Iterator[tuple[Assignment, Arm]]:
        """Yield the distinct arms after `forbid`, each with its first assignment.

        Raises:
            FieldError: at the call, for a float domain without steps.
        """
        return self._distinct(self.assignments())

    def at_most(self, limit: int) -> bool:
        """Return whether the space has at most `limit` assignments."""
        count = self.count()
        return count is not None and count <= limit

    def some(self, limit: int, rng: random.Random) -> Iterator[tuple[Assignment, Arm]]:
        """Yield distinct arms: all where there are at most `limit` assignments, else random ones.

        Of a larger space `limit` arms are drawn, fewer where it has fewer.
        """
        if self.at_most(limit):
            yield from self.arms()
            return
        drawer = ArmDrawer(self)
        for assignment in itertools.islice(iter(lambda: drawer.draw(rng), None), limit):
            yield assignment, self.arm(assignment)

    def _distinct(self, assignments: Iterator[Assignment]) -> Iterator[tuple[Assignment, Arm]]:
        seen: set[str] = set()
        for assignment in assignments:
            if not self.forbidden(assignment):
                arm = self.arm(assignment)
                if arm.digest not in seen:
                    seen.add(arm.digest)
                    yield assignment, arm

    def arm(self, assignment: Assignment) -> Arm:
        """Return the arm of a complete assignment, before tuning and matching.

        Raises:
            FieldError: where a parameter has no value, or the values do not fit each other; its
                path is one of `parameters` or of the file.
        """
        by_path = {parameter.path: parameter for parameter in self.parameters}
        model: Any = fill_slots(self.model, assignment, by_path)
        train: Any = fill_slots(self.train, assignment, by_path)
        candidate = candidate_from(model)
        try:
            recipe = recipe_from(train)
        except FieldError as error:
            raise FieldError(f"train.{error.path}", error.message) from None
        return Arm(candidate=candidate, recipe=recipe)

    def forbidden(self, assignment: Assignment) -> bool:
        """Return whether an entry of `forbid` matches the assignment."""
        return any(
            all(path in assignment and assignment[path] == entry[path] for path in entry)
            for entry in self.forbid
        )

    def assignment(self, params: Mapping[str, Any]) -> Assignment:
        """Return an assignment from its JSON form, lists as tuples.

        Raises:
            FieldError: where `params` is not an assignment of this space.
        """
        by_path = {parameter.path: parameter for parameter in self.parameters}
        for path in params:
            if path not in by_path:
                raise FieldError(path, f"not a parameter of the space; {near(path, by_path)}")

        def given(parameter: Parameter) -> Value:
            if parameter.path not in params:
                raise FieldError(parameter.path, "has no value")
            try:
                return parameter.domain.member(frozen(params[parameter.path]))
            except FieldError as error:
                raise FieldError(parameter.path, error.message) from None

        assignment = self.draw(given)
        for path in params:
            if path not in assignment:
                raise FieldError(path, "has a value, but is inactive with the other values")
        return assignment

    def label(self, assignment: Assignment) -> str:
        """Return a short text such as `product=self activation=relu6`.

        A parameter is named by the last part of its path that is not an index, with as many
        parts before it as make the name unique. Neither names nor values contain blanks.
        """
        names = self.short_names
        parts = [f"{names[path]}={compact(value)}" for path, value in assignment.items()]
        return " ".join(parts)

    @property
    def short_names(self) -> dict[str, str]:
        """Path of each parameter -> its name in a label."""
        return _short_names([parameter.path for parameter in self.parameters])

    def meaning(self) -> dict[str, Any]:
        """Return the contents as plain data, no comments, `about` or data folder."""
        by_path = {parameter.path: parameter for parameter in self.parameters}
        data = {key: value for key, value in plain(self.data).items() if key != "root"}
        plugins = [plugin.reference for plugin in self.plugins]
        optional = {"tune": self.tune, "match": self.match, "plugins": plugins}
        return {
            "study": self.study,
            "model": _meaning(self.model, by_path),
            "train": _meaning(self.train, by_path),
            "baseline": _meaning(self.baseline, by_path) if self.baseline is not None else None,
            "forbid": sorted((_meaning(e, by_path) for e in self.forbid), key=canonical_json),
            "data": data,
            "bands": plain(self.bands),
            "objectives": {o.metric: o.direction for o in self.objectives},
            "constraints": {c.metric: _bounds(c) for c in self.constraints},
            "search": plain(self.search),
            "resources": plain(self.resources),
            **{key: plain(part) for key, part in optional.items() if part},
        }

    @property
    def digest(self) -> str:
        """The hash of `meaning`: independent of comments, key order and the folder of the data."""
        return digest(self.meaning())

    def changes(self, other: Space) -> list[Change]:
        """Return the differences from this space to `other`, the file as it is now.

        Comments, the order of keys, `about` and the folder of the data are ignored.
        """
        return changes(self.meaning(), other.meaning())

    def _sorted(self, taken: Assignment) -> Assignment:
        return {p.path: taken[p.path] for p in self.parameters if p.path in taken}


def _meaning(tree: Tree, parameters: Mapping[str, Parameter]) -> Any:
    """Return a tree as in the file, with domains at the slots."""
    if isinstance(tree, Mapping):
        return {key: _meaning(child, parameters) for key, child in tree.items()}
    if isinstance(tree, tuple):
        return [_meaning(child, parameters) for child in tree]
    if tree is None:
        return "none"
    if isinstance(tree, float) and tree.is_integer():
        return int(tree)  # 2.0 and 2 are one number in a file, but two in JSON
    if not isinstance(tree, Slot):
        return tree
    parameter = parameters[tree.path]
    domain_tree = _domain_meaning(parameter.domain, parameters)
    if parameter.when:
        domain_tree["when"] = {c.path: _meaning(c.values, parameters) for c in parameter.when}
        domain_tree["else"] = _meaning(parameter.else_, parameters)
    return domain_tree


def _bounds(constraint: Constraint) -> dict[str, Any]:
    bounds = {}
    for key, bound in (("min", constraint.minimum), ("max", constraint.maximum)):
        if bound is not None:
            bounds[key] = f"{bound.value} x baseline" if bound.of_baseline else bound.value
    return bounds


def _domain_meaning(domain: Domain, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    if not isinstance(domain, Choice):
        domain_tree = {**plain(domain)}
        ends = [domain_tree.pop("low"), domain_tree.pop("high")]
        return {"int" if isinstance(domain, Int) else "float": ends, **domain_tree}
    if domain.trees is None:
        return {"choice": _meaning(domain.options, parameters)}
    labelled = zip(domain.options, domain.trees, strict=True)
    return {"choice": {str(label): _meaning(tree, parameters) for label, tree in labelled}}


def _short_names(paths: list[str]) -> dict[str, str]:
    short = {}
    for path in paths:
        parts = path.split(".")
        tails = [
            ".".join(parts[i:]) for i in reversed(range(len(parts))) if not parts[i].isdigit()
        ]
        alone = (t for t in tails if sum(f".{p}".endswith(f".{t}") for p in paths) == 1)
        short[path] = next(alone, path)
    return short
