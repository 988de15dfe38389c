"""A profile as tables for a terminal, as CSV and as JSON."""

from __future__ import annotations

import csv
import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import JustifyMethod
from rich.measure import Measurement
from rich.table import Table

from gmsearch.cli.console import Console
from gmsearch.display import MISSING, count
from gmsearch.environment import describe
from gmsearch.errors import InputError
from gmsearch.experiment import TimingCondition
from gmsearch.metrics import STATIC_METRICS
from gmsearch.networks import PUBLISHED, Candidate, Cost
from gmsearch.plain import plain

if TYPE_CHECKING:
    from gmsearch.latency import Timing

_PLAIN_WIDTH = 120
"""Width in characters without a terminal."""
_UNBOUNDED = 10_000
_PUBLISHED_AT = (224, 1000)
_SHOWN_COSTS = ("params", "flops", "elementwise_ops")
_INFERRED = "†"


@dataclasses.dataclass(kw_only=True, slots=True)
class ProfiledNetwork:
    """One network: its cost, and its latency under each condition."""

    name: str
    candidate: Candidate
    cost: Cost | None = None
    uncounted: dict[str, int] = dataclasses.field(default_factory=dict)
    """Operators the cost leaves out, and how often they run."""
    timings: dict[TimingCondition, Timing] = dataclasses.field(default_factory=dict)
    error: str | None = None

    def values(self) -> dict[str, float]:
        """Return all values by metric, unrounded."""
        values = dict(self.cost.metrics()) if self.cost is not None else {}
        for timing in self.timings.values():
            values |= timing.metrics()
        return values

    def remarks(self, condition: TimingCondition) -> str:
        """Return what may have disturbed the timing under one condition."""
        timing = self.timings.get(condition)
        return ", ".join(timing.disturbances) if timing is not None else ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The networks, and the conditions they were measured under."""

    networks: Sequence[ProfiledNetwork]
    resolution: int
    classes: int
    conditions: Sequence[TimingCondition]


Column = tuple[str, Callable[[ProfiledNetwork], str]]


def print_profile(profile: Profile, *, by_kind: bool) -> None:
    """Print one table if it fits the terminal, else one of costs and one per condition."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    groups = [_cost_columns(profile), *(_timed_columns(profile, c) for c in profile.conditions)]
    whole = _table(profile, [column for group in groups for column in group])
    unbounded = console.options.update(width=_UNBOUNDED)
    if Measurement.get(console, unbounded, whole).maximum <= console.width:
        tables = [whole]
    else:
        tables = [_table(profile, group) for group in groups]
    if by_kind:
        tables += [
            _kinds(network.name, network.cost)
            for network in profile.networks
            if network.cost is not None
        ]
    for table in tables:
        # A number is never cut off: a terminal that is too narrow wraps the lines itself.
        needed = Measurement.get(console, unbounded, table)
        if needed.minimum + len(table.columns) > console.width:  # rich forgets some padding
            table.width = needed.maximum
        console.print(table, crop=False)
        console.print()
    for line in _notes(profile):
        console.print(line)


def _table(profile: Profile, columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("network", overflow="fold", no_wrap=True)
    for heading, _ in columns:
        words = heading in ("published", "remarks")
        side: JustifyMethod = "left" if words else "right"
        table.add_column(heading, justify=side, overflow="fold", no_wrap=heading != "remarks")
    for network in profile.networks:
        table.add_row(network.name, *(cell(network) for _, cell in columns))
    return table


def _cost_columns(profile: Profile) -> list[Column]:
    def cost_of(metric: str) -> Callable[[ProfiledNetwork], str]:
        return lambda network: count(network.values().get(metric))

    columns: list[Column] = [(metric, cost_of(metric)) for metric in _SHOWN_COSTS]
    if any(_published(profile, network) for network in profile.networks):
        columns.append(("published", lambda network: _published(profile, network)))
    return columns


def _published(profile: Profile, network: ProfiledNetwork) -> str:
    """Return the published figures, rounded as published; empty if there are none."""
    printed = PUBLISHED.get(network.name)
    if printed is None or (profile.resolution, profile.classes) != _PUBLISHED_AT:
        return ""
    mark = f" {_INFERRED}" if printed.inferred else ""
    return f"{printed.params / 1e6:g}M, {printed.flops / 1e9:g}G{mark}"


def _timed_columns(profile: Profile, condition: TimingCondition) -> list[Column]:
    def of_timing(text: Callable[[Timing], str]) -> Callable[[ProfiledNetwork], str]:
        def cell(network: ProfiledNetwork) -> str:
            timing = network.timings.get(condition)
            return MISSING if timing is None else text(timing)

        return cell

    columns: list[Column] = [
        (condition.name("latency_ms"), of_timing(lambda t: f"{t.latency_ms:.4g}")),
        ("95 % interval", of_timing(lambda t: f"[{t.low:.4g}, {t.high:.4g}]")),
        ("ratio", of_timing(lambda t: f"{t.ratio:.3g}")),
    ]
    if condition.batch_size > 1:
        columns.append(("images/s", of_timing(lambda t: f"{t.throughput_ips:.4g}")))
    timings = [
        network.timings[condition] for network in profile.networks if condition in network.timings
    ]
    if any(timing.peak_memory_mb for timing in timings):
        heading = condition.name("peak_memory_mb")
        columns.append((heading, of_timing(lambda t: f"{t.peak_memory_mb:.4g}")))
    if any(network.remarks(condition) for network in profile.networks):
        columns.append(("remarks", lambda network: network.remarks(condition)))
    return columns


def _kinds(name: str, cost: Cost) -> Table:
    """Return a table of the counts by kind of layer or operation, and their sum."""
    table = Table(box=None, pad_edge=False, title=name, title_justify="left", title_style="")
    table.add_column("kind", no_wrap=True)
    for metric in STATIC_METRICS:
        table.add_column(metric, justify="right", no_wrap=True)
    for kind, numbers in cost.by_kind().items():
        table.add_row(kind, *(f"{number:,}" if number else MISSING for number in numbers))
    table.add_row("all", *(f"{getattr(cost, metric):,}" for metric in STATIC_METRICS))
    return table


def _notes(profile: Profile) -> list[str]:
    """Return sentences on how the numbers were measured, and what failed."""
    lines = [f"At {profile.resolution} px and {profile.classes} classes."]
    timings = [timing for network in profile.networks for timing in network.timings.values()]
    if timings:
        lines.append(_how(profile.conditions, timings))
    if any(
        network.timings
        for network in profile.networks
        if any(t.disturbed for t in network.timings.values())
    ):
        lines.append(
            "Remarks: drift of the reference between the first and the second half; cores used "
            "by other processes. Measure such latencies again; the ratio is less affected."
        )
    published = {network.name for network in profile.networks if _published(profile, network)}
    if published:
        lines.append("published: parameters and FLOPs (multiply-adds) as the papers print them.")
    if any(PUBLISHED[name].inferred for name in published):
        lines.append(
            f"{_INFERRED} inferred: widths and depths are ours, chosen to match these figures."
        )
    for network in profile.networks:
        if network.uncounted:
            named = ", ".join(
                f"{n} {operator}" for operator, n in sorted(network.uncounted.items())
            )
            lines.append(f"{network.name}: its cost leaves out {named}")
        if network.error:
            lines.append(f"{network.name} failed: {network.error}")
    return lines


def _how(conditions: Sequence[TimingCondition], timings: Sequence[Timing]) -> str:
    protocol = timings[0].protocol
    threads = protocol["threads"]
    named = "; ".join(f"batch {c.batch_size}, {c.mode}, {c.dtype}" for c in conditions)
    references: dict[TimingCondition, list[float]] = {}
    for timing in timings:
        references.setdefault(timing.condition, []).append(timing.reference_ms)
    medians = "; ".join(
        f"{statistics.median(references[c]):.4g} ms" for c in conditions if c in references
    )
    return (
        f"Latency: alone on {protocol['device']}, {threads} thread{'s' * (threads != 1)}, "
        f"{protocol['memory_format']}, batch norms folded; {named}. Median of "
        f"{protocol['repeats']} x {protocol['blocks']} blocks, networks taking turns; bootstrap "
        f"interval over the repeats. ratio: to {protocol['reference']}, whose blocks alternate "
        f"with those of each network (median {medians})."
    )


def write_csv(profile: Profile, path: Path) -> None:
    """Write one row per network, unrounded; missing values are empty."""
    rows = [
        {
            "network": network.name,
            **network.values(),
            "remarks": "; ".join(filter(None, (network.remarks(c) for c in profile.conditions))),
            "error": network.error,
        }
        for network in profile.networks
    ]
    metrics = dict.fromkeys(name for network in profile.networks for name in network.values())
    with _create(path) as file:
        writer = csv.DictWriter(
            file, ["network", *metrics, "remarks", "error"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


def write_json(profile: Profile, path: Path) -> None:
    """Write the candidates, all values, raw blocks, protocols and the environment."""
    trees: list[dict[str, Any]] = []
    for network in profile.networks:
        tree: dict[str, Any] = {"network": network.name, "candidate": plain(network.candidate)}
        if network.error:
            tree["error"] = network.error
        if network.cost is not None:
            kinds = network.cost.by_kind().items()
            tree["by_kind"] = {kind: numbers._asdict() for kind, numbers in kinds}
        tree["metrics"] = network.values()
        tree["timings"] = [dataclasses.asdict(timing) for timing in network.timings.values()]
        trees.append(tree)
    whole = {
        "resolution": profile.resolution,
        "classes": profile.classes,
        "environment": describe(),
        "networks": trees,
    }
    with _create(path) as file:
        json.dump(whole, file, indent=1)
        file.write("\n")


def _create(path: Path) -> Any:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
