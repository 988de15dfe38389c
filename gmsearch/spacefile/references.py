"""The parts of a space file that name parameters by their path: `when`, `baseline`, `forbid`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gmsearch.errors import FieldError
from gmsearch.plain import Assignment, Value
from gmsearch.space.domains import Choice, Domain, Parameter, When, first_value
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.nodes import Node
from gmsearch.spacefile.tree import Draft, canonical
from gmsearch.wording import near, shown, spelled

Drafts = Mapping[str, Draft]


def parameters_from(drafts: Drafts, mistakes: Mistakes) -> tuple[Parameter, ...]:
    """Return the sound drafts as parameters, in the order of the file, their `when` looked up."""
    parameters: dict[str, Parameter] = {}
    for draft in drafts.values():
        when = _conditions(draft, drafts, mistakes)
        reachable = all(condition.path in parameters for condition in draft.inside)
        if draft.domain is not None and reachable:
            parameters[draft.path] = Parameter(
                path=draft.path,
                domain=draft.domain,
                inside=draft.inside,
                when=when,
                else_=draft.else_,
            )
    return tuple(parameters.values())


def _conditions(draft: Draft, drafts: Drafts, mistakes: Mistakes) -> tuple[When, ...]:
    node = draft.node.mapping.get("when")
    if node is None:
        if "else" in draft.node.mapping:
            mistakes.add(
                draft.node.keys["else"],
                f"{draft.path}: `else` without `when`; say when the domain holds, or remove it",
            )
        return ()
    where = f"{draft.path}: when"
    if "else" not in draft.node.mapping:
        mistakes.add(
            draft.node.keys["when"],
            f"{where}: there is no value for where it is false; add `else: …`",
        )
        return ()
    if not node.mapping:
        mistakes.add(
            node.place, f"{where}: {shown(node.plain())} names no parameter; write {{PATH: VALUE}}"
        )
    conditions = []
    for name, child in _named(node, drafts, mistakes, where):
        domain = drafts[name].domain
        options = () if domain is None else _alternatives(domain, child)
        if domain is not None and not options:
            mistakes.add(child.place, f"{where}: {name}: [] lists no value; give one")
        elif domain is not None:
            values = [_member(domain, o, mistakes, f"{where}: {name}") for o in options]
            conditions.append(When(name, tuple(values)))
    return tuple(conditions)


def lean_on_mistakes(drafts: Drafts, forbid: Node | None) -> bool:
    """Return whether a condition, or an entry of `forbid`, names a parameter that is mistaken."""
    entries = forbid.value if forbid is not None and isinstance(forbid.value, tuple) else ()
    conditions = [draft.node.mapping.get("when") for draft in drafts.values()]
    named = {
        canonical(key)
        for node in (*entries, *conditions)
        if node is not None
        for key in node.mapping
    }
    return any(path in named and draft.domain is None for path, draft in drafts.items())


def _named(
    node: Node, drafts: Drafts, mistakes: Mistakes, where: str
) -> Iterable[tuple[str, Node]]:
    """Yield the parameters that the keys of a mapping name; others are mistakes."""
    seen: set[str] = set()
    for key, child in node.mapping.items():
        name = canonical(key)
        if name in seen:
            mistakes.add(node.keys[key], f"{where}: {name!r} is given twice; remove one")
        elif name not in drafts:
            mistakes.add(
                node.keys[key], f"{where}: {key!r} is not a parameter; {near(key, drafts)}"
            )
        else:
            yield name, child
        seen.add(name)


def _alternatives(domain: Domain, node: Node) -> Sequence[Node]:
    """Return the values a condition lists; a list may also be one option of a choice of lists."""
    if not isinstance(node.value, tuple):
        return (node,)
    if isinstance(domain, Choice) and node.plain() in domain.options:
        return (node,)
    return node.value


def _member(domain: Domain, node: Node, mistakes: Mistakes, where: str) -> Value:
    try:
        return domain.member(node.plain())
    except FieldError as error:
        mistakes.add(node.place, f"{where}: {error.message}")
        return None


def dependency_order(
    parameters: Sequence[Parameter], drafts: Drafts, mistakes: Mistakes
) -> tuple[Parameter, ...]:
    """Return the parameters so that each follows those it depends on, else as in the file.

    The members of a cycle are left out and told as a mistake.
    """
    waiting = {parameter.path: parameter for parameter in parameters}
    order: list[Parameter] = []
    while waiting:
        ready = next((p for p in waiting.values() if not _open(p, waiting)), None)
        if ready is not None:
            order.append(waiting.pop(ready.path))
            continue
        cycle = _cycle(waiting)
        first = min(cycle, key=lambda path: _when_place(drafts[path]))
        at = cycle.index(first)
        said = " needs ".join((*cycle[at:], *cycle[:at], first))
        mistakes.add(
            _when_place(drafts[first]),
            f"{first}: when: a cycle, {said}; remove one of the conditions",
        )
        for path in cycle:
            del waiting[path]
    return tuple(order)


def _open(parameter: Parameter, waiting: Mapping[str, Parameter]) -> list[str]:
    return [c.path for c in parameter.conditions if c.path in waiting]


def _cycle(waiting: Mapping[str, Parameter]) -> list[str]:
    """Return a cycle among parameters that all wait for one another."""
    trail = [next(iter(waiting))]
    while True:
        path = _open(waiting[trail[-1]], waiting)[0]
        if path in trail:
            return trail[trail.index(path) :]
        trail.append(path)


def _when_place(draft: Draft) -> tuple[int, int]:
    return draft.node.keys.get("when", draft.node.place)


def partial_assignment(
    node: Node, drafts: Drafts, mistakes: Mistakes, where: str
) -> Assignment | None:
    """Return what a mapping of paths to values says; None if a part of it is mistaken."""
    if not isinstance(node.value, Mapping):
        mistakes.add(
            node.place, f"{where}: {shown(node.plain())} is not a mapping {{PATH: VALUE, …}}"
        )
        return None
    before = len(mistakes)
    given: dict[str, Value] = {}
    for name, child in _named(node, drafts, mistakes, where):
        domain = drafts[name].domain
        if domain is not None:
            given[name] = _member(domain, child, mistakes, f"{where}: {name}")
    return given if len(mistakes) == before else None


def baseline_from(
    node: Node, order: Sequence[Parameter], drafts: Drafts, mistakes: Mistakes
) -> Assignment | None:
    """Return the baseline if it gives a value to every active parameter, and to no other."""
    given = partial_assignment(node, drafts, mistakes, "baseline")
    if given is None or any(draft.domain is None for draft in drafts.values()):
        return None
    before = len(mistakes)
    taken: dict[str, Value] = {}
    for parameter in order:
        path = parameter.path
        if parameter.active(taken):
            if path in given:
                taken[path] = given[path]
            else:
                example = spelled(first_value(parameter.domain))
                mistakes.add(
                    node.key, f"baseline: {path} has no value; add `{path}: {example}` or another"
                )
        elif path in given:
            broken = next(c for c in parameter.conditions if not c.holds(taken))
            key = next(k for k in node.keys if canonical(k) == path)
            mistakes.add(
                node.keys[key],
                f"baseline: {path} exists only where {broken}; remove it, or set that",
            )
    if len(mistakes) > before:
        return None
    return {path: taken[path] for path in drafts if path in taken}


def forbid_from(node: Node, drafts: Drafts, mistakes: Mistakes) -> tuple[Assignment, ...] | None:
    """Return the partial assignments of `forbid`; None if one is mistaken."""
    if not isinstance(node.value, tuple):
        mistakes.add(
            node.place,
            f"forbid: {shown(node.plain())} is not a list; write `- {{PATH: VALUE, …}}`",
        )
        return None
    before = len(mistakes)
    entries = []
    for index, child in enumerate(node.value):
        where = f"forbid.{index}"
        entries.append(partial_assignment(child, drafts, mistakes, where))
        if child.value == {}:
            mistakes.add(child.place, f"{where}: {{}} forbids everything; name a parameter")
    return tuple(e for e in entries if e is not None) if len(mistakes) == before else None
