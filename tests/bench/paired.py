"""Paired comparison of sides measured in turn within one run, and the files of its results.

Every repeat measures each side once, in alternating order, so that a drift of the machine affects
all alike. The result is the median of the ratios of the pairs, with a distribution-free interval
from its order statistics (95 % from six pairs on).
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmsearch import environment

RESULTS = Path(__file__).parent / "results"
DOCUMENTS = {
    "bench.md": ("training", "evaluation", "bands", "cost", "startup"),
    "gpu.md": ("gpu_training", "gpu_sharing", "gpu_bands", "gpu_evaluation", "gpu_latency"),
}
MISSED = 0.05  # how often an interval may
_LOAD = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # before our own

Times = Mapping[str, Sequence[float]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One comparison."""

    what: str
    ours: str
    rival: str
    ours_value: float
    """Median of our side, in `unit`."""
    rival_value: float
    unit: str
    ratio: float
    """Median of the paired ratios: ours / rival, of `unit`."""
    low: float
    high: float
    n: int
    """Number of pairs."""
    reach: str | None = None
    """Bound that the ratio should reach, such as `≥ 3`."""

    @property
    def met(self) -> str:
        """Whether the whole interval satisfies the bound: yes, no, or within the interval."""
        if self.reach is None:
            return ""
        sign, number = self.reach.split()
        bound = float(number)
        inside = [x >= bound if sign == "≥" else x <= bound for x in (self.low, self.high)]
        return "yes" if all(inside) else "within the interval" if any(inside) else "no"


def interleaved(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return the values of every side in each repeat; a first repeat is not counted."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        names = list(sides) if repeat % 2 else list(reversed(sides))
        for name in names:
            value = sides[name]()
            if repeat:
                measured[name].append(value)
    return measured


def faster(
    times: Times, what: str, ours: str, rival: str, *, unit: str, reach: str | None = None
) -> Row:
    """Compare speeds in `unit` per second; `times` are seconds per unit."""
    speeds = {name: [1 / t for t in times[name]] for name in (ours, rival)}
    return compared(speeds, what, ours, rival, unit=f"{unit}/s", reach=reach)


def share(times: Times, what: str, ours: str, rival: str, *, reach: str | None = None) -> Row:
    """Compare times; `times` are seconds per image."""
    milliseconds = {name: [1e3 * t for t in times[name]] for name in (ours, rival)}
    return compared(milliseconds, what, ours, rival, unit="ms/image", reach=reach)


def compared(
    values: Times, what: str, ours: str, rival: str, *, unit: str, reach: str | None = None
) -> Row:
    """Compare the values of two sides, in `unit`."""
    ratios = [a / b for a, b in zip(values[ours], values[rival], strict=True)]
    low, high = median_interval(ratios)
    return Row(
        what=what,
        ours=ours,
        rival=rival,
        ours_value=statistics.median(values[ours]),
        rival_value=statistics.median(values[rival]),
        unit=unit,
        ratio=statistics.median(ratios),
        low=low,
        high=high,
        n=len(ratios),
        reach=reach,
    )


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the narrowest pair of order statistics that contains the median in 95 % of all runs.

    The k-th smallest and the k-th largest miss it with probability 2 P(Bin(n, 1/2) < k). Fewer
    than six values cannot hold it so often: then smallest and largest.
    """
    n, k, missed = len(values), 0, 0.0
    while missed + 2 * math.comb(n, k) / 2**n <= MISSED:
        missed += 2 * math.comb(n, k) / 2**n
        k += 1
    k = max(k, 1)
    ranked = sorted(values)
    return ranked[k - 1], ranked[-k]


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of the arguments common to all scripts."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="one small repeat: does it run?")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def write(
    name: str,
    rows: Sequence[Row],
    out: Path,
    *,
    notes: Sequence[str] = (),
    profile: Callable[[], str] | None = None,
    device: str | None = None,
    show: bool = True,
) -> None:
    """Write `<name>.json` and the document of all results; print the table.

    Args:
        name: name of the script.
        rows: the comparisons.
        out: folder of the results.
        notes: what a reader of the numbers has to know.
        profile: returns what bounds our side; called where a reach is missed.
        device: name of the device, if it is not the processor.
        show: whether to print the table.
    """
    out.mkdir(parents=True, exist_ok=True)
    result = {
        "benchmark": name,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(device),
        "notes": list(notes),
        "rows": [{**dataclasses.asdict(row), "met": row.met} for row in rows],
    }
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (out / f"{name}.json").write_text(text, encoding="utf-8")
    path = out / f"{name}.profile.txt"
    path.unlink(missing_ok=True)
    if profile is not None and any(row.met not in {"yes", ""} for row in rows):
        path.write_text(profile(), encoding="utf-8")
    if show:
        sys.stdout.write(table(result) + "\n")
    for document, parts in DOCUMENTS.items():
        if name in parts:
            known = [path for part in parts if (path := out / f"{part}.json").is_file()]
            tables = [table(json.loads(path.read_text(encoding="utf-8"))) for path in known]
            (out / document).write_text("\n".join(tables), encoding="utf-8")


def machine(device: str | None) -> dict[str, Any]:
    """Return the machine and the packages that the numbers depend on, as plain data."""
    known = environment.describe()
    kept = ("cpu", "cpus", "system", "python", "packages", "nvidia_driver", "commit")
    values = {name: known[name] for name in kept}
    return {"device": device or known["cpu"], **values, "load_before": _LOAD}


def table(result: Mapping[str, Any]) -> str:
    """Return one benchmark as Markdown."""
    where = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    lines = [f"## {result['benchmark']}", ""]
    lines += ["| what | ours | rival | ratio (95 % interval) | n | reach | met |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in result["rows"]:
        sides = [
            f"{row[side]}: {_number(row[f'{side}_value'])} {row['unit']}"
            for side in ("ours", "rival")
        ]
        ratio = f"{_number(row['ratio'])} ({_number(row['low'])} to {_number(row['high'])})"
        cells = [row["what"], *sides, ratio, str(row["n"]), row["reach"] or "", row["met"]]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    lines += [f"- {note}" for note in result["notes"]]
    lines.append(
        f"- {where['device']}, {where['cpus']} CPUs; Python {where['python']}, {versions}"
    )
    lines.append(
        f"- {result['date']}, commit {where['commit']}, load before {where['load_before']}"
    )
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
