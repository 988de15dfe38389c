"""The figure of the front: one panel for every pair of objectives that vary."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

from gmsearch import pareto
from gmsearch.report.dominance import FrontFacts, Point
from gmsearch.report.figures.style import (
    GREY,
    SETTINGS,
    Style,
    add_legend,
    add_title,
    arm_name,
    panel_grid,
    styles,
)
from gmsearch.report.shown import ShownMetric

_MAX_COLUMNS = 3
_LOG_RANGE = 20
"""A cost that spans more than this factor is drawn on a logarithmic axis."""
ErrorBar = tuple[float, float]


def front_figure(facts: FrontFacts) -> Figure | None:
    """Draw means and spreads, the front coloured and joined; None without a point.

    Values drawn are on the evaluation split, even after a search, whose front is decided on the
    holdout. The line of a panel joins the members that are not dominated in its two objectives.
    """
    points = [point for point in facts.points if None not in point.shown]
    if not points:
        return None
    look = styles(facts.study, [point.arm for point in facts.members])
    varying = [i for i, axis in enumerate(facts.axes) if axis.metric.name not in facts.constant]
    # Costs on the horizontal axis, accuracies on the vertical one.
    varying.sort(key=lambda i: facts.axes[i].metric.maximize)
    pairs = list(itertools.combinations(varying, 2))
    with mpl.rc_context(SETTINGS):
        if not pairs:
            return _ladder(facts, points, (varying or [0])[0], look)
        columns = min(_MAX_COLUMNS, len(pairs))
        figure, rows = panel_grid(-(-len(pairs) // columns), columns)
        panels = list(itertools.chain.from_iterable(rows))
        for (x, y), panel in zip(pairs, panels, strict=False):
            _pair(panel, facts, points, (x, y), look)
        for panel in panels[len(pairs) :]:
            panel.set_axis_off()
        add_legend(figure, _handles(points, look), facts.study.heading)
        add_title(figure, _title(facts))
    return figure


def _title(facts: FrontFacts) -> str:
    objectives = ", ".join(f"{a.shown.name} {a.shown.arrow}" for a in facts.axes)
    selects = facts.study.space.search.selects
    chosen = ", chosen on the holdout, drawn of the evaluation split" if selects else ""
    return f"{facts.study.name}: front of {objectives}{chosen}; mean ± sd over the seeds"


def _pair(
    panel: Axes,
    facts: FrontFacts,
    points: Sequence[Point],
    pair: tuple[int, int],
    look: Mapping[str, Style],
) -> None:
    metrics = [facts.axes[i].shown for i in pair]
    members = [point for point in points if point.on_front]
    at = np.array([[_value(p, i, m) for i, m in zip(pair, metrics, strict=True)] for p in members])
    signs = np.array([m.sign for m in metrics])
    line = at[pareto.front(at * signs)]
    line = line[np.lexsort((line[:, 1] * signs[1], line[:, 0] * signs[0]))]
    panel.plot(*line.T, **_FRONT_LINE)
    for point in points:
        style = look.get(point.arm.digest)
        color = style.color if style and point.on_front else GREY
        if style is None and point.on_front:
            color = "#444444"
        x, y = (_value(point, i, m) for i, m in zip(pair, metrics, strict=True))
        bars = [_error_bar(point, i, m) for i, m in zip(pair, metrics, strict=True)]
        panel.errorbar(
            x,
            y,
            xerr=np.reshape(bars[0], (2, 1)),
            yerr=np.reshape(bars[1], (2, 1)),
            fmt=style.marker if style else ".",
            color=color,
            markersize=4.5,
            markeredgewidth=0,
            ecolor=(color, 0.55),
            elinewidth=0.8,
            zorder=4 if point.on_front else 3,
        )
        if point.arm.baseline:
            panel.plot(x, y, **_RING)
    for axis, metric in ((panel.xaxis, metrics[0]), (panel.yaxis, metrics[1])):
        axis.set_label_text(metric.title)
    _scale(panel, metrics, points, pair)


_FRONT_LINE: dict[str, Any] = {
    "color": "#444444",
    "linewidth": 0.8,
    "dashes": (3, 1.5),
    "drawstyle": "steps-post",
    "zorder": 3.5,
}
_RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "linestyle": "none",
    "zorder": 5,
}


def _scale(
    panel: Axes, metrics: Sequence[ShownMetric], points: Sequence[Point], pair: tuple[int, int]
) -> None:
    for name, axis, metric, i in zip("xy", (panel.xaxis, panel.yaxis), metrics, pair, strict=True):
        values = [_value(point, i, metric) for point in points]
        if metric.form != "share" and min(values) > 0 and max(values) > _LOG_RANGE * min(values):
            panel.set(**{f"{name}scale": "log"})
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        if metric.form == "count":
            axis.set_major_formatter(EngFormatter(sep=""))


def _value(point: Point, i: int, metric: ShownMetric) -> float:
    summary = point.shown[i]
    assert summary is not None, "points without a value are not drawn"
    return summary.mean * metric.factor


def _error_bar(point: Point, i: int, metric: ShownMetric) -> ErrorBar:
    """Return how far the error bar reaches down and up: sd over seeds, or a timing interval."""
    summary, timing = point.shown[i], point.arm.timings.get(metric.name)
    if timing is not None and timing.low is not None and timing.high is not None:
        return max(0.0, timing.value - timing.low), max(0.0, timing.high - timing.value)
    sd = (summary.sd if summary is not None else None) or 0.0
    return (sd * metric.factor,) * 2


def _ladder(
    facts: FrontFacts, points: Sequence[Point], i: int, look: Mapping[str, Style]
) -> Figure:
    """Draw the arms one below the other by the only objective that varies, best on top."""
    metric = facts.axes[i].shown
    shown = sorted(points, key=lambda point: metric.sign * _value(point, i, metric))[:40]
    figure, [[panel]] = panel_grid(1, 1)
    figure.set_figheight(0.6 + 0.22 * len(shown))
    for place, point in enumerate(shown):
        style = look.get(point.arm.digest)
        panel.errorbar(
            _value(point, i, metric),
            place,
            xerr=np.reshape(_error_bar(point, i, metric), (2, 1)),
            fmt=style.marker if style else ".",
            color=style.color if style and point.on_front else GREY,
            markersize=4.5,
            markeredgewidth=0,
            elinewidth=0.7,
        )
    panel.set_yticks(range(len(shown)), [arm_name(point.arm) for point in shown])
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
    panel.set_xlabel(metric.title)
    add_title(figure, _title(facts))
    return figure


def _handles(points: Sequence[Point], look: Mapping[str, Style]) -> list[Line2D]:
    handles = []
    for point in points:
        style = look.get(point.arm.digest)
        if style is not None:
            color = style.color if point.on_front else GREY
            handles.append(_handle(_name(point), style.marker, color))
    rest = [point.on_front for point in points if point.arm.digest not in look]
    if any(rest):
        handles.append(_handle("other members of the front", ".", "#444444"))
    if not all(rest):
        handles.append(_handle("dominated", ".", GREY))
    return handles


def _handle(label: str, marker: str, color: str) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=marker, color=color, markeredgewidth=0, label=label
    )


def _name(point: Point) -> str:
    roles = [
        *(["baseline, ringed"] if point.arm.baseline else []),
        *(["knee"] if point.knee else []),
        *([] if point.on_front else ["dominated"]),
    ]
    return f"{point.arm.short} ({', '.join(roles)})" if roles else point.arm.short
