"""What a run prints at its end: the front, what failed, and where to look further."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from gmsearch.cli.live.log import RUN_LOG
from gmsearch.cli.live.words import reason_of, with_label
from gmsearch.cli.report import REPORTS
from gmsearch.driver import Driver
from gmsearch.ledger import ArmNumbers, Study
from gmsearch.records import State

_MOST_ARMS = 200
_MOST_MEMBERS = 5
_MOST_REASONS = 4
_KEY_SHOWN = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A line of the summary, and the label of an arm at its end."""

    text: str
    label: str = ""

    def fitting(self, width: int | None) -> str:
        """Return the line, its label cut where it would exceed a width."""
        if width is None:
            return f"{self.text}  {self.label}".rstrip()
        return with_label(self.text, self.label, width).rstrip()


def load() -> None:
    """Import what the summary needs, since the package may be replaced while a study runs."""
    from gmsearch.report import collect, dominance  # noqa: F401


def summary(driver: Driver, *, ran: bool) -> tuple[list[Line], int]:
    """Return the lines to print, and the exit code: 1 if something failed.

    Args:
        driver: of the study, at its end.
        ran: whether this start did anything.
    """
    study = driver.space.study
    states = collections.Counter(trial.state for trial in driver.trials)
    lines = []
    if not ran and driver.trials:
        lines.append(Line(f"{study}: nothing to do; all trials are finished"))
    if states:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        about, *front = _front_lines(driver) if ran else [Line("")]
        lines += [Line(f"{study}: {counts}{about.text}"), *front]
        lines += map(Line, [*_failure_lines(driver), *_places(driver.records.folder)])
    else:
        constraints = ", ".join(map(str, driver.space.constraints)) or "none"
        lines.append(Line(f"{study}: no candidate satisfies the constraints: {constraints}"))
    remarks = [text for text in (driver.stopped, driver.remark) if text is not None]
    lines += [Line(f"{study}: {text}") for text in remarks]
    incomplete = states[State.FAILED] or driver.untrained or driver.unmeasured
    return lines, 1 if not states or incomplete or driver.stopped is not None else 0


def _places(folder: Path) -> list[str]:
    """Return where the study is, its log, and where its report will be."""
    log = folder / RUN_LOG
    return [
        f"  study   {folder}{os.sep}",
        *([f"  log     {log}"] if log.exists() else []),
        f"  report  {REPORTS / folder.name}{os.sep}, by `gmsearch report {folder.name}`",
    ]


def _failure_lines(driver: Driver) -> list[str]:
    """Return a line for every reason trials failed for, with one of them to look at."""
    failed = [trial for trial in driver.trials if trial.state is State.FAILED]
    reasons = collections.Counter((trial.failure, reason_of(trial)) for trial in failed)
    lines = []
    for (failure, reason), count in reasons.most_common(_MOST_REASONS):
        key = next(t.key for t in failed if (t.failure, reason_of(t)) == (failure, reason))
        show = f"`gmsearch show {driver.space.study} {key[:_KEY_SHOWN]}`"
        lines.append(f"  {count} FAILED ({failure}) {reason}; see {show}")
    more = len(reasons) - _MOST_REASONS
    return lines if more <= 0 else [*lines, f"  and {more} more reasons"]


def _front_lines(driver: Driver) -> list[Line]:
    """Return how many arms are on the front, then some of them; nothing of a front of one arm.

    Nor where it would take long.
    """
    records = driver.records
    arms = {trial.arm for trial in driver.trials if trial.state is State.COMPLETE}
    if not 1 < len(arms) <= _MOST_ARMS:
        return [Line("")]
    from gmsearch.report.collect import collect
    from gmsearch.report.dominance import find_front

    front = find_front(collect(Study(records.folder, driver.space, records)))
    numbers, members = ArmNumbers(records), front.members[:_MOST_MEMBERS]
    rows = [["front", "n", *(axis.metric.title for axis in front.axes)]]
    for point in members:
        trial = records.trials[next(iter(point.arm.keys.values()))]
        values = zip(front.axes, point.judged, strict=True)
        spreads = [axis.metric.spread(judged) for axis, judged in values]
        rows.append([f"#{numbers.of(trial.params)}", str(point.n), *spreads])
    about = f"; {len(front.members)} of {len(arms)} arms on the front"
    if len(members) < len(front.members):
        about += f", {len(members)} shown"
    labels = [front.study.heading, *(point.arm.short for point in members)]
    return [Line(about), *(map(Line, _aligned(rows), labels) if members else ())]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "".join(f"  {cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
