"""Whether the values of a space fit each other in every arm, which types alone cannot say."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.experiment import DataSpec, recipe_from, require_applicable
from gmsearch.networks import candidate_from
from gmsearch.plain import Assignment
from gmsearch.space.domains import Choice, Parameter, Tree, fill_slots
from gmsearch.space.space import Space
from gmsearch.spacefile.fields import ROWS
from gmsearch.spacefile.mistakes import Position
from gmsearch.spacefile.probes import sample, some_values, variant
from gmsearch.spacefile.references import Drafts
from gmsearch.spacefile.tree import BROKEN, canonical, domain_kind
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import spelled

_REPORTED_PER_POSITION = 20
_ALTERNATIVES = 8

_Section = tuple[Tree, Node, Callable[[Any], object]]
"""Tree and node of model or recipe, and the function that builds its part of an arm."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Misfit:
    node: Node
    """The value that does not fit, or the subtree that lacks it."""
    position: Position
    path: str
    message: str


class FitChecker:
    """Checks the arms of one space, each different model and recipe once."""

    def __init__(self, space: Space, root: Node, drafts: Drafts, data: DataSpec | None) -> None:
        """Check a space whose broken values are left out.

        Args:
            space: The space.
            root: The node of its file.
            drafts: Its parameters as read.
            data: None where the data have mistakes; then they limit no recipe.
        """
        self._space = space
        self._by_path = {parameter.path: parameter for parameter in space.parameters}
        self._sections: list[_Section] = [
            (tree, root.mapping[name], build)
            for name, tree, build in (
                ("model", space.model, candidate_from),
                ("train", space.train, functools.partial(_build_recipe, data)),
            )
            if name in root.mapping and tree is not BROKEN
        ]
        self._drafts = drafts
        self._seen: set[str] = set()
        self._reported: dict[tuple[Position, str], list[Assignment]] = {}

    def check(self) -> None:
        """Report every value that fits no arm, or not every arm it can be in."""
        for assignment in sample(self._space):
            for misfit in self._new_misfits(assignment):
                self._report(assignment, misfit)

    def check_fixed_values(self) -> None:
        """Report every value that fits no arm, whatever values the parameters have.

        For a file whose conditions or `forbid` have mistakes: which values of parameters can be
        combined is not known.
        """
        assignment = variant(self._space, {})
        for misfit in self._new_misfits(assignment):
            if not self._responsible_parameters(assignment, misfit):
                misfit.node.named(misfit.path).wrong(misfit.message, misfit.position)

    def _new_misfits(self, assignment: Assignment) -> Iterator[_Misfit]:
        """Yield the misfits of model and recipe, unless the same values were checked before."""
        for section in self._sections:
            resolved = fill_slots(section[0], assignment, self._by_path)
            known = repr((section[1].path, resolved))
            if known not in self._seen:
                self._seen.add(known)
                yield from self._misfits(assignment, section)

    def _misfits(self, assignment: Assignment, section: _Section) -> Iterator[_Misfit]:
        tree, node, build = section
        resolved: Any = fill_slots(tree, assignment, self._by_path)
        for error in _errors(build, resolved):
            yield self._located(error, node, assignment)

    def _located(self, error: FieldError, node: Node, assignment: Assignment) -> _Misfit:
        """Return a misfit at the value in the file that an error names."""
        path, rest = node.path, list(filter(None, error.path.split(".")))
        while True:
            if kind := domain_kind(node):
                label, node = self._taken(node, kind, canonical(path), assignment)
                path = f"{path}.{label}" if label else path
            elif rest and rest[0] in node.mapping:
                path = f"{path}.{rest[0]}"
                node = node.mapping[rest.pop(0)]
            else:
                position = node.key if rest else node.position
                return _Misfit(node, position, ".".join([path, *rest]), error.message)

    def _taken(
        self, node: Node, kind: str, path: str, assignment: Assignment
    ) -> tuple[str | None, Node]:
        """Return the label, if there is one, and the node of the value that a domain takes."""
        if path not in assignment:
            return None, node.mapping["else"]
        domain, inner = self._by_path[path].domain, node.mapping[kind]
        if not isinstance(domain, Choice):
            return None, dataclasses.replace(inner, value=None)  # the ends are no value of it
        value = assignment[path]
        if domain.trees is not None:
            return str(value), inner.mapping[str(value)]
        return None, inner.items[domain.options.index(value)]

    def _report(self, assignment: Assignment, misfit: _Misfit) -> None:
        reported = self._reported.setdefault((misfit.position, misfit.path), [])
        known = any(entry.items() <= assignment.items() for entry in reported)
        if known or len(reported) == _REPORTED_PER_POSITION:
            return
        responsible = self._responsible_parameters(assignment, misfit)
        reported.append(responsible)
        values = ", ".join(f"{path} is {spelled(value)}" for path, value in responsible.items())
        position, where = misfit.position, ""
        if len(responsible) == 1:
            position = self._option_position(next(iter(responsible)), assignment)
            where = f" (where {values})" if position != misfit.position else ""
        elif responsible:
            where = f" (where {values}; forbid the combination, or tie them by `when`)"
        misfit.node.named(misfit.path).wrong(f"{misfit.message}{where}", position)

    def _responsible_parameters(self, assignment: Assignment, misfit: _Misfit) -> Assignment:
        return {
            path: value
            for path, value in assignment.items()
            if self._is_responsible(self._by_path[path], assignment, misfit)
        }

    def _option_position(self, path: str, assignment: Assignment) -> Position:
        """Return the position of the value that a parameter takes."""
        node = self._drafts[path].node
        kind = domain_kind(node)
        assert kind is not None, "a parameter without a domain"
        return self._taken(node, kind, path, assignment)[1].position

    def _is_responsible(
        self, parameter: Parameter, assignment: Assignment, misfit: _Misfit
    ) -> bool:
        """Return whether the misfit disappears when the parameter takes another value."""
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
    """Yield every error of a tree; a required value that is missing is reported already."""
    try:
        build(tree)
    except FieldError as error:
        presets = not tree.keys().isdisjoint(ROWS)
        for one in error.errors:
            if presets or one.path.split(".")[0] in tree:
                yield one
