"""`gmsearch check` and `gmsearch schema`: what a space file says, before anything is trained."""

from __future__ import annotations

import itertools
import json
import random
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gmsearch.candidate import Arm
from gmsearch.cli.run import facts_of
from gmsearch.driver import static_cost
from gmsearch.search.arms import Arms
from gmsearch.search.uniform import Uniform
from gmsearch.space import Space, json_schema, load_space
from gmsearch.trial import STATIC_METRICS

_ENUMERATED = 20_000


def check_space(path: Path, data_root: Path | None) -> None:
    """Validate a space file and its data; print what a run of it would train, and at what cost."""
    console = Console()
    space = load_space(path, data_root=data_root)
    facts = facts_of(space, path)
    count = space.count()
    console.print(f"{path}: study {space.study}, method {space.search.method}")
    arms = list(itertools.islice(_arms(space, count), _ENUMERATED))
    exact = count is not None and count <= _ENUMERATED
    distinct = f", {len(arms)} distinct" if exact and len(arms) != count else ""
    console.print(f"candidates  {'infinitely many' if count is None else count}{distinct}")
    trained = space.search.candidates or len(arms)
    seeds = len(space.search.seeds)
    console.print(f"trials      {trained * seeds} = {trained} arms × {seeds} seeds")
    costs = [
        static_cost(arm.candidate, classes=facts.classes, resolution=facts.resolution)
        for arm in arms
    ]
    console.print(_cost_table(costs, exact=exact))
    static = [c for c in space.constraints if c.static]
    if static:
        base = (
            static_cost(
                space.arm(space.baseline).candidate,
                classes=facts.classes,
                resolution=facts.resolution,
            )
            if space.baseline is not None
            else {}
        )
        kept = sum(
            all(c.excess(cost[c.metric], base.get(c.metric)) <= 0 for c in static)
            for cost in costs
        )
        named = ", ".join(map(str, static))
        console.print(f"feasible    {kept} of {len(costs)} under {named}")
    console.print(
        f"data        {space.data.name} at {facts.resolution} px, {facts.classes} classes"
    )


def _arms(space: Space, count: int | None) -> Iterator[Arm]:
    """Return all distinct arms of a small space, random ones of a large."""
    if count is not None and count <= _ENUMERATED:
        return (arm for _, arm in space.arms())
    return _random_arms(space)


def _random_arms(space: Space) -> Iterator[Arm]:
    uniform, rng = Uniform(space, Arms(space)), random.Random(0)
    while (assignment := uniform.draw(rng)) is not None:
        yield space.arm(assignment)


def _cost_table(costs: list[dict[str, float]], *, exact: bool) -> Table:
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
