"""Domains, the parameters they belong to, and the trees in which parameters replace values."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

from gmsearch.errors import FieldError
from gmsearch.plain import Assignment, Value
from gmsearch.wording import near, shown, spelled

MAX_STEPS = 1000
"""Largest number of points of a float domain; they are held in memory."""


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """Marks where a parameter's value goes in the tree of a model or recipe."""

    path: str


Tree = Value | Slot | tuple["Tree", ...] | Mapping[str, "Tree"]
"""Plain data for `candidate_from` and `recipe_from`, with a slot for each parameter."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of several options, in the order of the file."""

    options: tuple[Value, ...]
    """The members: values, or the labels of `trees`."""

    trees: tuple[Tree, ...] | None = None
    """The tree of each label, one per option; None where the options are values."""

    def __post_init__(self) -> None:
        """Refuse an empty choice, and an option listed twice."""
        if not self.options:
            raise FieldError("choice", "expected at least one option, got []")
        for index, option in enumerate(self.options):
            if any(_same(option, earlier) for earlier in self.options[:index]):
                raise FieldError("choice", f"{shown(option)} is listed twice; remove one")

    def values(self) -> Sequence[Value]:
        """Return all options."""
        return self.options

    def tree(self, label: Value) -> Tree:
        """Return the tree of a label; a value is its own tree."""
        return label if self.trees is None else self.trees[self.options.index(label)]

    def member(self, value: object) -> Value:
        """Return the option that `value` names; FieldError names the options."""
        for option in self.options:
            if _same(option, value) or (option is None and value == "none"):
                return option
        names = map(spelled, self.options)
        raise FieldError(
            "", f"expected one of its options, got {shown(value)}; {near(value, names)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Int:
    """An integer from `low` to `high`, both included."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    """Whether samplers draw evenly in the logarithm."""

    def __post_init__(self) -> None:
        """Refuse a range that is empty, that its steps do not divide, or that has no logarithm."""
        _check_range("int", self.low, self.high, log=self.log)
        if self.step < 1:
            raise FieldError("step", f"expected an integer from 1, got {self.step}")
        if self.log and self.step != 1:
            raise FieldError("step", "cannot be combined with `log: true`; remove one")
        rest = (self.high - self.low) % self.step
        if rest:
            ends = [
                str(e) for e in (self.high - rest, self.high - rest + self.step) if e > self.low
            ]
            raise FieldError(
                "int",
                f"steps of {self.step} from {self.low} do not reach {self.high}; "
                f"end the range at {' or '.join(ends)}",
            )

    def values(self) -> Sequence[int]:
        """Return all members, ascending."""
        return range(self.low, self.high + 1, self.step)

    def member(self, value: object) -> int:
        """Return `value` if it is a member; FieldError names the range."""
        if isinstance(value, int) and not isinstance(value, bool) and value in self.values():
            return value
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        raise FieldError(
            "", f"expected an integer from {self.low} to {self.high}{steps}, got {shown(value)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Float:
    """A number from `low` to `high`, both included; with `steps`, one of so many points."""

    low: float
    high: float
    log: bool = False
    """Whether samplers draw, and steps lie, evenly in the logarithm."""
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse a range that is empty or has no logarithm, and points that are too close."""
        _check_range("float", self.low, self.high, log=self.log)
        if self.steps is not None and not 2 <= self.steps <= MAX_STEPS:
            raise FieldError(
                "steps", f"expected an integer from 2 to {MAX_STEPS}, got {self.steps}"
            )
        points = self.values()
        if points is not None and len(set(points)) < len(points):
            raise FieldError("steps", f"{self.steps} points are equal to six digits; give fewer")

    def values(self) -> Sequence[float] | None:
        """Return the points, ascending, inner ones rounded to six digits; None without steps.

        They are rounded so that a baseline can name them.
        """
        if self.steps is None:
            return None
        return _points(self.low, self.high, self.steps, log=self.log)

    def member(self, value: object) -> float:
        """Return `value` as a float if it is a member; FieldError names range or points."""
        points = self.values()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            inside = self.low <= value <= self.high if points is None else value in points
            if inside:
                return float(value)
        if points is None:
            raise FieldError(
                "", f"expected a number from {self.low:g} to {self.high:g}, got {shown(value)}"
            )
        raise FieldError(
            "", f"expected one of {self.steps} points, got {shown(value)}; {near(value, points)}"
        )


@functools.lru_cache(maxsize=64)  # a space is sampled thousands of times as it is read
def _points(low: float, high: float, steps: int, *, log: bool) -> tuple[float, ...]:
    last = steps - 1
    if log:
        inner = [low * (high / low) ** (i / last) for i in range(1, last)]
    else:
        inner = [low + (high - low) * i / last for i in range(1, last)]
    return (low, *(float(f"{point:.6g}") for point in inner), high)


Domain = Choice | Int | Float


def first_value(domain: Domain) -> Value:
    """Return the first member: the first option, or the lower end."""
    return domain.options[0] if isinstance(domain, Choice) else domain.low


def _check_range(key: str, low: float, high: float, *, log: bool) -> None:
    if not low < high:
        raise FieldError(
            key,
            f"[{low}, {high}] is empty; give the lower end first, or a single value",
        )
    if log and low <= 0:
        raise FieldError(key, f"a logarithmic range must start above 0, got {low}")


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


@dataclasses.dataclass(frozen=True, slots=True)
class When:
    """A condition: true where the parameter at `path` exists and takes one of `values`."""

    path: str
    values: tuple[Value, ...]

    def holds(self, taken: Assignment) -> bool:
        """Return whether the values taken so far meet the condition."""
        return self.path in taken and taken[self.path] in self.values

    def __str__(self) -> str:
        """Return the condition in words, such as `gate.product is dw or pool`."""
        return f"{self.path} is {' or '.join(map(spelled, self.values))}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One leaf that a study varies."""

    path: str
    """Dotted path as reported: no leading `model.`, labels included, list elements by index."""
    domain: Domain
    inside: tuple[When, ...] = ()
    """Conditions that an enclosing labelled choice implies: the labels that lead here."""
    when: tuple[When, ...] = ()
    """Conditions of the file's `when`; where one is false the leaf takes `else_`."""
    else_: Tree = None

    @property
    def conditions(self) -> tuple[When, ...]:
        """All conditions under which the parameter is active."""
        return (*self.inside, *self.when)

    def active(self, taken: Assignment) -> bool:
        """Return whether it is active, given the values of the parameters it depends on."""
        return all(condition.holds(taken) for condition in self.conditions)


def draw(order: Sequence[Parameter], suggest: Callable[[Parameter], Value]) -> dict[str, Value]:
    """Return a value from `suggest` for every active parameter of `order`, dependencies first."""
    taken: dict[str, Value] = {}
    for parameter in order:
        if parameter.active(taken):
            taken[parameter.path] = suggest(parameter)
    return taken


def fill_slots(tree: Tree, taken: Assignment, parameters: Mapping[str, Parameter]) -> Tree:
    """Return the tree with every slot replaced by what its parameter takes.

    Raises:
        FieldError: for a parameter that is not in `taken` and has no `else`.
    """
    if isinstance(tree, Slot):
        parameter = parameters[tree.path]
        if tree.path in taken:
            value = taken[tree.path]
            if not isinstance(parameter.domain, Choice) or parameter.domain.trees is None:
                return value
            return fill_slots(parameter.domain.tree(value), taken, parameters)
        if not parameter.when:
            raise FieldError(tree.path, "has no value")
        return parameter.else_
    if isinstance(tree, Mapping):
        return {key: fill_slots(child, taken, parameters) for key, child in tree.items()}
    if isinstance(tree, tuple):
        return tuple(fill_slots(child, taken, parameters) for child in tree)
    return tree
