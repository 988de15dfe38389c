"""`gmsearch check`: validates a space file and shows what a run of it would train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gmsearch.cli.flags import DataRoot, SpaceFile

if TYPE_CHECKING:
    from rich.table import Table

    from gmsearch.costs import Task
    from gmsearch.driver.preflight import RunContext
    from gmsearch.experiment import Arm
    from gmsearch.space import Space

_MAX_ENUMERATED = 50_000
_SAMPLED = 10_000
_MAX_MATCHED = 1000
_MAX_REMARKS = 10


def check(space: SpaceFile, *, data_root: DataRoot = None) -> None:
    """Validate a space file and count its trials.

    Prints the numbers of candidates and trials and the range of the candidates' costs.
    Trains nothing.
    """
    from gmsearch.cli.console import Console
    from gmsearch.cli.streams import say
    from gmsearch.cli.studies import announces
    from gmsearch.costs import broken_constraints, static_cost
    from gmsearch.driver.preflight import (
        data_remarks,
        inspect_run,
        network_remarks,
        require_possible,
        worker_count,
    )
    from gmsearch.spacefile import load_space

    loaded = load_space(space, data_root=data_root, announce=announces(space))
    context = inspect_run(loaded, space)
    worker_count(loaded.resources, None)
    require_possible(loaded, context, space)
    arms, exact = _trainable_arms(loaded, context.task)
    feasible = sum(not broken_constraints(loaded, arm, context.task) for arm in arms)
    costs = [static_cost(arm.candidate, context.task) for arm in arms]
    summary = _summary(loaded, context, costs, feasible=feasible, exact=exact)
    console = Console(highlight=False)
    console.say(f"{space}: study {loaded.study}, method {loaded.search.method}")
    for name, text in summary.items():
        console.say(f"{name:<11} {text}")
    console.print(_cost_table(costs, exact=exact))
    remarks = [*data_remarks(loaded, arms, context), *network_remarks(arms, context)]
    if len(remarks) > _MAX_REMARKS:
        remarks = [*remarks[:_MAX_REMARKS], f"and {len(remarks) - _MAX_REMARKS} more remarks"]
    for remark in remarks:
        say(f"{space}: {remark}")


def _trainable_arms(space: Space, task: Task) -> tuple[list[Arm], bool]:
    """Return the arms a run may train, matched in cost, and whether the list is complete.

    A grid or an ablation lists its arms. A search may train any arm of its space: all are
    returned for a small space, random ones for a large one.
    """
    import random

    from gmsearch.costs import matched_arm
    from gmsearch.search import sampler

    rng = random.Random(0)
    if not space.search.selects:
        arms, exact = [space.arm(p.assignment) for p in sampler(space).ask(None)], True
    elif space.at_most(_MAX_ENUMERATED):
        arms, exact = [arm for _, arm in space.arms()], True
    else:
        arms, exact = [arm for _, arm in space.some(_SAMPLED, rng)], False
    if space.match is not None and len(arms) > _MAX_MATCHED:
        arms, exact = random.Random(0).sample(arms, _MAX_MATCHED), False
    return [matched_arm(space, arm, task) for arm in arms], exact


def _summary(
    space: Space,
    context: RunContext,
    costs: list[Mapping[str, float]],
    *,
    feasible: int,
    exact: bool,
) -> dict[str, str]:
    """Return the lines of the summary by name; `costs` are of the arms a run may train."""
    known = feasible if exact else None
    trained = min(n for n in (known, space.search.candidates) if n is not None)
    seeds = len(space.search.seeds)
    lines = {
        "candidates": _count(space, len(costs), exact=exact),
        "trials": f"{trained * seeds} = {trained} arms × {seeds} seed{'s' * (seeds != 1)}",
    }
    static = [str(constraint) for constraint in space.constraints if constraint.static]
    if static:
        lines["feasible"] = f"{feasible} of {len(costs)} under {', '.join(static)}"
    if space.tune is not None:
        values, seed = len(space.tune.grid()), space.tune.seed
        runs = f"{trained * values} = {trained} arms × {values} choices"
        lines["tuning"] = f"{runs}, seed {seed}"
    if space.match is not None and space.baseline is not None:
        lines["match"] = _matching(space, costs, context.task)
    lines["data"] = (
        f"{space.data.name} at {context.resolution} px, {context.classes} classes, "
        f"identified by {context.data_identity_of}"
    )
    lines["images"] = (
        f"{context.train_images} train, {context.holdout_images} holdout, "
        f"{context.evaluation_images} evaluation; files left out: "
        f"{sum(context.left_out.values())}"
    )
    return lines


def _count(space: Space, arms: int, *, exact: bool) -> str:
    if exact:
        return str(arms)
    count = space.count()
    return "infinitely many" if count is None else str(count)


def _matching(space: Space, costs: list[Mapping[str, float]], task: Task) -> str:
    """Return how close the costs are to the baseline's."""
    from gmsearch.costs import static_cost

    match, baseline = space.match, space.baseline
    assert match is not None
    assert baseline is not None
    own = static_cost(space.arm(baseline).candidate, task)
    ratios = [cost[match.metric] / own[match.metric] for cost in costs]
    close = sum(abs(ratio - 1) <= match.tolerance for ratio in ratios)
    ends = f"{min(ratios):.4f} to {max(ratios):.4f} of the baseline's {own[match.metric]:,.0f}"
    within = f"{close} of {len(costs)} within {100 * match.tolerance:g} %"
    return f"{match.metric} by {match.by}: {ends}; {within}"


def _cost_table(costs: list[Mapping[str, float]], *, exact: bool) -> Table:
    import statistics

    from rich.table import Table

    from gmsearch.metrics import STATIC_METRICS

    title = "cost of a candidate" if exact else f"cost of {len(costs)} random candidates"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("metric")
    for name in ("smallest", "median", "largest"):
        table.add_column(name, justify="right")
    for metric in STATIC_METRICS:
        values = [cost[metric] for cost in costs]
        row = (min(values), statistics.median_low(values), max(values))
        table.add_row(metric, *(f"{value:,.0f}" for value in row))
    return table
