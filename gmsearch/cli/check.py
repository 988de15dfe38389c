"""`gmsearch check` and `gmsearch schema`: what a space file says, before anything is trained."""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gmsearch.costs import broken_constraints, matched_arm, static_cost
from gmsearch.driver.preflight import (
    RunContext,
    inspect_run,
    network_remarks,
    require_possible,
    worker_count,
)
from gmsearch.experiment import Arm
from gmsearch.metrics import STATIC_METRICS
from gmsearch.search import sampler
from gmsearch.space import Space
from gmsearch.spacefile import json_schema, load_space

_ENUMERATED = 50_000
_DRAWN = 10_000
_MATCHED = 1000
_REMARKS = 10


def check_space(path: Path, data_root: Path | None) -> None:
    """Validate a space file and its data; print what a run of it would train, and at what cost."""
    space = load_space(path, data_root=data_root)
    context = inspect_run(space, path)
    worker_count(space.resources, None)
    require_possible(space, context, path)
    arms, exact = _arms(space)
    if space.match is not None and len(arms) > _MATCHED:
        arms, exact = random.Random(0).sample(arms, _MATCHED), False
    arms = [matched_arm(space, arm, context.task) for arm in arms]
    feasible = [arm for arm in arms if not broken_constraints(space, arm, context.task)]
    known = len(feasible) if exact else None
    wanted = space.search.candidates
    trained = min(n for n in (known, wanted) if n is not None)
    seeds = len(space.search.seeds)
    costs = [static_cost(arm.candidate, context.task) for arm in arms]
    lines = [
        f"{path}: study {space.study}, method {space.search.method}",
        f"candidates  {_count(space, arms, exact=exact)}",
        f"trials      {trained * seeds} = {trained} arms × {seeds} seed{'s' * (seeds != 1)}",
    ]
    static = [str(c) for c in space.constraints if c.static]
    if static:
        lines.append(f"feasible    {len(feasible)} of {len(arms)} under {', '.join(static)}")
    lines += _tuning(space, trained) + _matching(space, costs, context)
    lines.append(
        f"data        {space.data.name} at {context.resolution} px, {context.classes} classes, "
        f"known by {context.data_identity_of}"
    )
    console = Console()
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    console.print(_cost_table(costs, exact=exact))
    odd = network_remarks(arms, context)
    if len(odd) > _REMARKS:
        odd = [*odd[:_REMARKS], f"and {len(odd) - _REMARKS} more remarks"]
    errors = Console(stderr=True)
    for remark in odd:
        errors.print(f"{path}: {remark}", markup=False, highlight=False, soft_wrap=True)


def _arms(space: Space) -> tuple[list[Arm], bool]:
    """Return the arms that a run may train, and whether they are all of them.

    Those a listed method asks for; of a space that is searched all, or random ones of a large.
    """
    if not space.search.selects:
        return [space.arm(p.assignment) for p in sampler(space).ask(None)], True
    exact = space.at_most(_ENUMERATED)
    drawn = space.arms() if exact else space.some(_DRAWN, random.Random(0))
    return [arm for _, arm in drawn], exact


def _count(space: Space, arms: list[Arm], *, exact: bool) -> str:
    if exact:
        return str(len(arms))
    count = space.count()
    return "infinitely many" if count is None else str(count)


def _tuning(space: Space, trained: int) -> list[str]:
    """Return how many runs choose training values before the trials."""
    if space.tune is None:
        return []
    values, seed = len(space.tune.grid()), space.tune.seed
    return [f"tuning      {trained * values} = {trained} arms × {values} choices, seed {seed}"]


def _matching(space: Space, costs: list[Mapping[str, float]], context: RunContext) -> list[str]:
    """Return how near the costs come to the baseline's."""
    match, baseline = space.match, space.baseline
    if match is None or baseline is None:
        return []
    candidate = space.arm(baseline).candidate
    own = static_cost(candidate, context.task)
    ratios = [cost[match.metric] / own[match.metric] for cost in costs]
    near = sum(abs(ratio - 1) <= match.tolerance for ratio in ratios)
    ends = f"{min(ratios):.4f} to {max(ratios):.4f} of the baseline's {own[match.metric]:,.0f}"
    within = f"{near} of {len(costs)} within {100 * match.tolerance:g} %"
    return [f"match       {match.metric} by {match.by}: {ends}; {within}"]


def _cost_table(costs: list[Mapping[str, float]], *, exact: bool) -> Table:
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


def print_schema() -> None:
    """Print the JSON Schema of space files."""
    json.dump(json_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
