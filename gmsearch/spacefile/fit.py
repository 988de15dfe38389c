"""Whether the values a space allows make arms: what types alone cannot tell."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, cast

from gmsearch.errors import FieldError
from gmsearch.experiment import DataSpec, recipe_from, require_applicable
from gmsearch.networks import candidate_from
from gmsearch.plain import Assignment
from gmsearch.space.domains import Choice, Parameter, Tree, resolve
from gmsearch.space.space import Space
from gmsearch.spacefile.forms import ROWS
from gmsearch.spacefile.mistakes import Mistakes, Place
from gmsearch.spacefile.nodes import Node
from gmsearch.spacefile.probes import sample, some_values, variant
from gmsearch.spacefile.references import Drafts
from gmsearch.spacefile.tree import BROKEN, canonical, domain_kind
from gmsearch.wording import spelled

_TOLD_PER_PLACE = 20
_ALTERNATIVES = 8
_STAND_INS = {"widths": ("depths", 1024), "depths": ("widths", 1)}
"""What stands for a mistaken field without default while the others are judged: the length of
the other, and a value that fits everything."""

_Section = tuple[str, Tree, Node, Callable[[Any], object]]
"""Name, tree and node of a section, and what builds its part of an arm."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Misfit:
    place: Place
    """Of the value the error names, or of the key of the subtree that lacks it."""
    path: str
    message: str


class Judge:
    """Judges the arms of one space, and remembers what it has seen and said."""

    def __init__(
        self,
        space: Space,
        root: Node,
        drafts: Drafts,
        mistakes: Mistakes,
        data: DataSpec | None,
    ) -> None:
        """Take a space, mistaken leaves left out, and the node of its file.

        The data are None where they are mistaken, and nothing is said of a recipe on them.
        """
        self._space = space
        self._by_path = {parameter.path: parameter for parameter in space.parameters}
        self._sections: list[_Section] = [
            (name, tree, root.mapping[name], build)
            for name, tree, build in (
                ("model", space.model, candidate_from),
                ("train", space.train, functools.partial(_build_recipe, data)),
            )
            if name in root.mapping and tree is not BROKEN
        ]
        self._drafts = drafts
        self._mistakes = mistakes
        self._seen: set[str] = set()
        self._told: dict[tuple[Place, str], list[Assignment]] = {}

    def judge(self) -> None:
        """Add a mistake for every value that fits no arm, or not every arm it can stand in."""
        for assignment in sample(self._space):
            for misfit in self._new_misfits(assignment):
                self._tell(assignment, misfit)

    def judge_fixed(self) -> None:
        """Add a mistake for every value that fits no arm whatever the parameters take.

        For a file whose conditions or `forbid` are mistaken, so that nothing is known of how
        parameters go together.
        """
        assignment = variant(self._space, {})
        for misfit in self._new_misfits(assignment):
            if not self._blamed(assignment, misfit):
                self._mistakes.add(misfit.place, f"{misfit.path}: {misfit.message}")

    def _new_misfits(self, assignment: Assignment) -> Iterator[_Misfit]:
        """Yield the misfits of model and recipe, of each as often as it is another one."""
        for section in self._sections:
            resolved = resolve(section[1], assignment, self._by_path)
            known = repr((section[0], resolved))
            if known not in self._seen:
                self._seen.add(known)
                yield from self._misfits(assignment, section)

    def _misfits(self, assignment: Assignment, section: _Section) -> Iterator[_Misfit]:
        name, tree, root, build = section
        resolved: Any = resolve(tree, assignment, self._by_path)
        for error in _errors(build, resolved):
            yield self._located(error, name, root, assignment)

    def _located(
        self, error: FieldError, section: str, root: Node, assignment: Assignment
    ) -> _Misfit:
        node, path, rest = root, section, error.path.split(".")
        while True:
            if kind := domain_kind(node):
                label, node = self._taken(node, kind, canonical(path), assignment)
                path = f"{path}.{label}" if label else path
            elif rest and rest[0] in node.mapping:
                path = f"{path}.{rest[0]}"
                node = node.mapping[rest.pop(0)]
            else:
                place = node.key if rest else node.place
                return _Misfit(place, ".".join([path, *rest]), error.message)

    def _taken(
        self, node: Node, kind: str, path: str, assignment: Assignment
    ) -> tuple[str | None, Node]:
        """Return the node of what a domain takes, and its label where it has one."""
        if path not in assignment:
            return None, node.mapping["else"]
        domain, inner = self._by_path[path].domain, node.mapping[kind]
        if not isinstance(domain, Choice):
            return None, Node(inner.plain(), inner.place, inner.key)
        value = assignment[path]
        if domain.trees is not None:
            return str(value), inner.mapping[str(value)]
        options = cast("tuple[Node, ...]", inner.value)
        return None, options[domain.options.index(value)]

    def _tell(self, assignment: Assignment, misfit: _Misfit) -> None:
        told = self._told.setdefault((misfit.place, misfit.path), [])
        known = any(entry.items() <= assignment.items() for entry in told)
        if known or len(told) == _TOLD_PER_PLACE:
            return
        blamed = self._blamed(assignment, misfit)
        told.append(blamed)
        said = ", ".join(f"{path} is {spelled(value)}" for path, value in blamed.items())
        place, where = misfit.place, ""
        if len(blamed) == 1:
            place = self._option_place(next(iter(blamed)), assignment)
            where = f" (where {said})" if place != misfit.place else ""
        elif blamed:
            where = f" (where {said}; forbid the combination, or tie them by `when`)"
        self._mistakes.add(place, f"{misfit.path}: {misfit.message}{where}")

    def _blamed(self, assignment: Assignment, misfit: _Misfit) -> Assignment:
        return {
            path: value
            for path, value in assignment.items()
            if self._matters(self._by_path[path], assignment, misfit)
        }

    def _option_place(self, path: str, assignment: Assignment) -> Place:
        """Return where the value that a parameter takes is written."""
        node = self._drafts[path].node
        kind = domain_kind(node)
        assert kind is not None, "a parameter without a domain"
        return self._taken(node, kind, path, assignment)[1].place

    def _matters(self, parameter: Parameter, assignment: Assignment, misfit: _Misfit) -> bool:
        """Return whether the misfit goes away when this parameter takes another value."""
        for value in some_values(parameter.domain, _ALTERNATIVES):
            other = variant(self._space, {**assignment, parameter.path: value})
            paths = {m.path for section in self._sections for m in self._misfits(other, section)}
            if misfit.path not in paths:
                return True
        return False


def _build_recipe(data: DataSpec | None, tree: dict[str, Any]) -> None:
    recipe = recipe_from(tree)
    if data is not None:
        require_applicable(recipe, data)


def _errors(build: Callable[[Any], object], tree: dict[str, Any]) -> Iterator[FieldError]:
    """Yield what is wrong with a tree, mending one field after the other to see the next.

    A required field that is not there is told already, where types are checked.
    """
    mended: set[str] = set()
    # A GmNet without stages says nothing of how many values its other fields must have.
    stages = {*_STAND_INS, "preset"} & tree.keys()
    while stages or tree.get("family") != "gmnet":
        try:
            build(tree)
        except FieldError as error:
            if not tree.keys().isdisjoint(ROWS) or error.path.split(".")[0] in tree:
                yield error
            if error.path in mended:
                return
            mended.add(error.path)
            tree = _mended(tree, error.path.split("."))
        else:
            return


def _mended(tree: dict[str, Any], path: list[str]) -> dict[str, Any]:
    key, *inner = path
    if inner:
        return {**tree, key: _mended(tree.get(key, {}), inner)}
    if key in _STAND_INS:
        other, value = _STAND_INS[key]
        length = len(tree[other]) if isinstance(tree.get(other), tuple) else 1
        return {**tree, key: (value,) * length}
    return {name: child for name, child in tree.items() if name != key}
