"""The figure of the learning curves: one panel per metric, one line per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gmsearch.report.curves import Curve, CurveFacts, Panel
from gmsearch.report.figures.style import (
    LIGHT_GREY,
    SETTINGS,
    Style,
    add_legend,
    add_title,
    arm_name,
    panel_grid,
    styles,
)


def curve_figure(facts: CurveFacts) -> Figure | None:
    """Draw mean and sd over the seeds by epoch; None without a curve.

    The first column holds whole images and the training loss; each further column one radius,
    low-pass images above, high-pass images below.
    """
    columns = _columns(facts.panels)
    if not columns:
        return None
    look = styles(facts.study, facts.preferred)
    with mpl.rc_context(SETTINGS):
        figure, rows = panel_grid(max(map(len, columns)), len(columns))
        for c, column in enumerate(columns):
            for r, row in enumerate(rows):
                if r < len(column):
                    _draw(row[c], column[r], look)
                else:
                    row[c].set_axis_off()
        for panel in (rows[len(column) - 1][c] for c, column in enumerate(columns)):
            panel.set_xlabel("epoch")
        add_legend(figure, _handles(facts, look), facts.study.heading)
        splits = " and ".join(facts.splits)
        title = f"{facts.study.name}: mean ± sd over the seeds, {splits} split"
        add_title(figure, title)
    return figure


def _columns(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Return the panels by column: images and loss, then pairs of low and high, then bands."""
    by_name = {panel.metric.name: panel for panel in panels}
    first = [by_name[name] for name in ("top1", "train_loss") if name in by_name]
    rest = [panel for panel in panels if panel not in first]
    pairs = [rest[i : i + 2] for i in range(0, len(rest), 2)]
    return [column for column in (first, *pairs) if column]


def _draw(panel: Axes, facts: Panel, look: Mapping[str, Style]) -> None:
    metric = facts.metric
    factor = metric.factor
    # Grey ones first, so that they lie below.
    for curve in sorted(facts.curves, key=lambda curve: curve.arm.digest in look):
        style = look.get(curve.arm.digest, Style(LIGHT_GREY, "", ()))
        mean = factor * np.array([point.mean for point in curve.points])
        sd = factor * np.array([point.sd or 0.0 for point in curve.points])
        panel.plot(
            curve.epochs,
            mean,
            color=style.color,
            linewidth=1.1 if style.marker else 0.4,
            dashes=style.dashes,
            marker="." if len(mean) == 1 else "",
        )
        if style.marker and sd.any():
            panel.fill_between(
                curve.epochs, mean - sd, mean + sd, color=style.color, alpha=0.1, linewidth=0
            )
    panel.set_title(metric.title)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _handles(facts: CurveFacts, look: Mapping[str, Style]) -> list[Line2D]:
    drawn: dict[str, Curve] = {c.arm.digest: c for p in facts.panels for c in p.curves}
    handles = [
        Line2D(
            [],
            [],
            color=style.color,
            dashes=style.dashes,
            linewidth=1.1,
            label=arm_name(curve.arm),
        )
        for digest, curve in drawn.items()
        if (style := look.get(digest)) is not None
    ]
    if any(digest not in look for digest in drawn):
        handles.append(Line2D([], [], color=LIGHT_GREY, linewidth=0.4, label="other arms"))
    return handles
