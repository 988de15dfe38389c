"""Tables of plain text cells, for every output format, and facts as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Literal

from gmsearch.report.facts import ArmFacts
from gmsearch.report.shown import ShownMetric
from gmsearch.stats import Summary
from gmsearch.wording import compact

DIFFERENCE = "difference [95 %]"
"""Heading of a difference with its interval."""

ARM_PREFIX, TRIAL_PREFIX = "a-", "t-"
"""Before an arm's digest and a trial's key in CSV files: a spreadsheet takes 12e45678 for a
number."""

CsvValue = str | int | float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `rank` is 1 for the best of its column, 2 for the second best, else 0."""

    text: str
    rank: Literal[0, 1, 2] = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextTable:
    """A title, a heading and rows of cells; the first column is text, the others are numbers."""

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[str, ...] = ()
    """Headings of columns other than the first that hold words."""
    prose: str = ""
    """Heading of the column whose text may take several lines."""


def ranked(summaries: Sequence[Summary | None], metric: ShownMetric) -> list[Cell]:
    """Return one cell per summary, `mean ± sd`, the best and second best marked."""
    places = ranks([None if s is None else s.mean for s in summaries], metric)
    return [Cell(metric.spread(s), r) for s, r in zip(summaries, places, strict=True)]


def ranks(values: Sequence[float | None], metric: ShownMetric) -> list[Literal[0, 1, 2]]:
    """Return 1 for the best and 2 for the second, ties included; 0 where nothing differs."""
    # Values with the same text share a rank.
    texts = [None if value is None else metric.text(value) for value in values]
    keys = {t: metric.sign * v for t, v in zip(texts, values, strict=True) if v is not None}
    order = sorted(keys, key=keys.__getitem__)
    by_text: dict[str | None, Literal[0, 1, 2]] = {}
    if len(order) > 1:
        by_text = {order[0]: 1, order[1]: 2}
    return [by_text.get(text, 0) for text in texts]


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, CsvValue]]) -> str:
    """Return rows as CSV, unrounded; a missing value leaves its field empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def arm_values(arm: ArmFacts) -> dict[str, CsvValue]:
    """Return the columns that identify an arm, with its parameters, tuned and matched values."""
    scaled = {"matched": "-".join(f"{value:g}" for value in arm.scaled)} if arm.scaled else {}
    tuned = {f"train.{name}": value for name, value in arm.tuned.items()}
    return {
        "arm": ARM_PREFIX + arm.digest,
        "label": arm.label,
        "baseline": int(arm.baseline),
        **{path: compact(value) for path, value in arm.params.items()},
        **tuned,
        **scaled,
    }


def arm_columns(arms: Sequence[ArmFacts]) -> list[str]:
    """Return the columns of parameters, of tuned and of matched values."""
    names = dict.fromkeys(name for arm in arms for name in arm_values(arm))
    return [name for name in names if name not in ("arm", "label", "baseline")]
