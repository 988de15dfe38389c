"""The parts of a space file that name parameters by path: `when`, `baseline`, `forbid`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gmsearch.errors import FieldError
from gmsearch.plain import Assignment, Value
from gmsearch.space.domains import Choice, Domain, Parameter, When, first_value
from gmsearch.spacefile.mistakes import Position
from gmsearch.spacefile.tree import Draft, canonical
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import near, shown, spelled

Drafts = Mapping[str, Draft]


def parameters_from(drafts: Drafts) -> tuple[Parameter, ...]:
    """Return the valid drafts as parameters in the order of the file, their `when` resolved."""
    parameters: dict[str, Parameter] = {}
    for draft in drafts.values():
        when = _conditions(draft, drafts)
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


def _conditions(draft: Draft, drafts: Drafts) -> tuple[When, ...]:
    domain_node = draft.node
    if "when" not in domain_node.mapping:
        if "else" in domain_node.mapping:
            domain_node.wrong(
                "`else` needs `when`; add `when: {PATH: VALUE}`, or remove it",
                domain_node.keys["else"],
            )
        return ()
    if "else" not in domain_node.mapping:
        domain_node.wrong(
            "`when` needs `else`, the value where the condition is false; add `else: …`",
            domain_node.keys["when"],
        )
        return ()
    node = domain_node.mapping["when"].named(f"{domain_node.path}.when")
    if not node.mapping:
        node.wrong(f"expected {{PATH: VALUE}}, got {shown(node.plain())}")
    conditions = []
    for name, child in _named_parameters(node, drafts):
        domain = drafts[name].domain
        options = () if domain is None else _alternatives(domain, child)
        if domain is not None and not options:
            child.wrong("expected a value or a non-empty list, got []")
        elif domain is not None:
            conditions.append(When(name, tuple(_member(domain, option) for option in options)))
    return tuple(conditions)


def use_broken_parameters(drafts: Drafts, forbid: Node | None) -> bool:
    """Return whether a condition, or an entry of `forbid`, names a parameter with a mistake."""
    entries = forbid.items if forbid is not None else ()
    conditions = [draft.node.mapping.get("when") for draft in drafts.values()]
    named = {
        canonical(key)
        for node in (*entries, *conditions)
        if node is not None
        for key in node.mapping
    }
    return any(path in named and draft.domain is None for path, draft in drafts.items())


def _named_parameters(node: Node, drafts: Drafts) -> Iterable[tuple[str, Node]]:
    """Yield the parameters that the keys of a mapping name; report the other keys."""
    seen: set[str] = set()
    for key, child in node.mapping.items():
        name = canonical(key)
        if name in seen:
            node.wrong(f"{name!r} is given twice; remove one", node.keys[key])
        elif name not in drafts:
            node.wrong(f"{key!r} is not a parameter; {near(key, drafts)}", node.keys[key])
        else:
            yield name, child.named(f"{node.path}.{name}")
        seen.add(name)


def _alternatives(domain: Domain, node: Node) -> Sequence[Node]:
    """Return the values of a condition; a list may be one option of a choice of lists."""
    if not isinstance(node.value, tuple):
        return (node,)
    if isinstance(domain, Choice) and node.plain() in domain.options:
        return (node,)
    return tuple(item.named(node.path) for item in node.value)


def _member(domain: Domain, node: Node) -> Value:
    try:
        return domain.member(node.plain())
    except FieldError as error:
        node.wrong(error.message)
        return None


def dependency_order(parameters: Sequence[Parameter], drafts: Drafts) -> tuple[Parameter, ...]:
    """Return the parameters so that each follows those it depends on, else as in the file.

    The members of a cycle are left out and reported.
    """
    waiting = {parameter.path: parameter for parameter in parameters}
    order: list[Parameter] = []
    while waiting:
        ready = next((p for p in waiting.values() if not _pending(p, waiting)), None)
        if ready is not None:
            order.append(waiting.pop(ready.path))
            continue
        cycle = _cycle(waiting)
        first = min(cycle, key=lambda path: _when_position(drafts[path]))
        at = cycle.index(first)
        chain = " needs ".join((*cycle[at:], *cycle[:at], first))
        node = drafts[first].node
        node.named(f"{node.path}.when").wrong(
            f"conditions form a cycle, {chain}; remove one of them", _when_position(drafts[first])
        )
        for path in cycle:
            del waiting[path]
    return tuple(order)


def _pending(parameter: Parameter, waiting: Mapping[str, Parameter]) -> list[str]:
    return [c.path for c in parameter.conditions if c.path in waiting]


def _cycle(waiting: Mapping[str, Parameter]) -> list[str]:
    """Return a cycle among parameters that all wait for one another."""
    trail = [next(iter(waiting))]
    while True:
        path = _pending(waiting[trail[-1]], waiting)[0]
        if path in trail:
            return trail[trail.index(path) :]
        trail.append(path)


def _when_position(draft: Draft) -> Position:
    return draft.node.keys.get("when", draft.node.position)


def partial_assignment(node: Node, drafts: Drafts) -> Assignment | None:
    """Return the assignment that a mapping of paths to values describes; None if it is wrong."""
    if not isinstance(node.value, Mapping):
        node.wrong(f"expected a mapping {{PATH: VALUE, …}}, got {shown(node.plain())}")
        return None
    before = len(node.mistakes)
    given: dict[str, Value] = {}
    for name, child in _named_parameters(node, drafts):
        domain = drafts[name].domain
        if domain is not None:
            given[name] = _member(domain, child)
    return given if len(node.mistakes) == before else None


def baseline_from(node: Node, order: Sequence[Parameter], drafts: Drafts) -> Assignment | None:
    """Return the baseline if it gives a value to every active parameter, and to no other."""
    given = partial_assignment(node, drafts)
    if given is None or any(draft.domain is None for draft in drafts.values()):
        return None
    before = len(node.mistakes)
    taken: dict[str, Value] = {}
    for parameter in order:
        path = parameter.path
        if parameter.active(taken):
            if path in given:
                taken[path] = given[path]
            else:
                example = spelled(first_value(parameter.domain))
                node.wrong(f"{path} has no value; add one, such as `{path}: {example}`", node.key)
        elif path in given:
            broken = next(c for c in parameter.conditions if not c.holds(taken))
            key = next(k for k in node.keys if canonical(k) == path)
            node.wrong(
                f"{path} is only active where {broken}; remove it, or change that", node.keys[key]
            )
    if len(node.mistakes) > before:
        return None
    return {path: taken[path] for path in drafts if path in taken}


def forbid_from(node: Node, drafts: Drafts) -> tuple[Assignment, ...] | None:
    """Return the partial assignments of `forbid`; None if one is wrong."""
    if not isinstance(node.value, tuple):
        node.wrong(f"expected a list, got {shown(node.plain())}; write `- {{PATH: VALUE, …}}`")
        return None
    before = len(node.mistakes)
    entries = []
    for child in node.items:
        entries.append(partial_assignment(child, drafts))
        if child.value == {}:
            child.wrong("{} forbids everything; name a parameter")
    return tuple(e for e in entries if e is not None) if len(node.mistakes) == before else None
