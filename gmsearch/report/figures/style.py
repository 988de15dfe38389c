"""Style, size and legend of all figures, and writing them to bytes.

Canvases are used directly: there is no global figure, and no display is needed. The same facts
give the same bytes.
"""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gmsearch.report.facts import ArmFacts, StudyFacts

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.hashsalt": "gmsearch",
    "svg.fonttype": "path",
}
GREY = "#9a9a9a"
LIGHT_GREY = "#c8c8c8"

# Okabe and Ito's colours without their yellow, which white paper swallows, and Tol's wine: apart
# for the colour-blind. Markers and dashes say the same again, for print without colour.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
_MARKERS = ("s", "^", "D", "v", "P", "X", "h")
_DASHES = ((), (4, 1.2), (1.2, 1), (5, 1.2, 1.2, 1.2), (7, 2), (2.5, 1), (4, 1, 1, 1, 1, 1))
_PANEL = (2.45, 2.1)
_LONE_PANEL = (4.9, 3.0)
_LINE_HEIGHT = 0.16
"""Inches; height of a line of the legend or the title."""
_LEGEND_CHARACTER = 0.062
"""Inches; a handle with its gaps takes as much as _LEGEND_HANDLE characters."""
_LEGEND_HANDLE = 9
_TITLE_CHARACTER = 0.075


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """How one arm is drawn, in every figure of a study."""

    color: str
    marker: str
    dashes: tuple[float, ...]


def styles(study: StudyFacts, preferred: Sequence[ArmFacts]) -> Mapping[str, Style]:
    """Return a style for each arm, or for the preferred arms if there are too many.

    The baseline is black and round. Arms without a style of their own are drawn grey.
    """
    others = [arm for arm in study.measured if not arm.baseline]
    if len(others) > len(_COLORS):
        others = [arm for arm in preferred if not arm.baseline][: len(_COLORS)]
    look = {arm.digest: Style("#000000", "o", ()) for arm in study.measured if arm.baseline}
    rows = zip(others, _COLORS, _MARKERS, _DASHES, strict=False)
    return look | {arm.digest: Style(color, mark, dashes) for arm, color, mark, dashes in rows}


def arm_name(arm: ArmFacts) -> str:
    """Return what an arm is called on an axis or in a legend."""
    return f"{arm.short} (baseline)" if arm.baseline else arm.short


def panel_grid(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure of rows x columns panels; a single column gets wider ones."""
    width, height = _PANEL if columns > 1 else _LONE_PANEL
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # type: ignore[union-attr, call-arg] # the engine of layout="constrained"
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def add_title(figure: Figure, text: str) -> None:
    """Put a title on top, on as many lines as it needs, the figure growing by them."""
    lines = textwrap.wrap(text, int(figure.get_figwidth() / _TITLE_CHARACTER))
    figure.suptitle("\n".join(lines), fontsize=9)
    figure.set_figheight(figure.get_figheight() + _LINE_HEIGHT * len(lines))


def add_legend(figure: Figure, handles: Sequence[Line2D], heading: str) -> None:
    """Put the legend below the panels, in as many columns as fit, the figure growing by it."""
    longest = max(len(str(handle.get_label())) for handle in handles) + _LEGEND_HANDLE
    fitting = int(figure.get_figwidth() / (longest * _LEGEND_CHARACTER))
    columns = max(1, min(len(handles), fitting))
    # As even as the number of rows allows.
    rows = -(-len(handles) // columns)
    columns = -(-len(handles) // rows)
    figure.set_figheight(figure.get_figheight() + _LINE_HEIGHT * (rows + 1))
    figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.4,
        handletextpad=0.5,
        title=heading,
        title_fontsize=7,
    )


def mark_preliminary(figure: Figure) -> None:
    """Write across a figure that its study is not finished."""
    figure.text(
        *(0.5, 0.5, "preliminary"),
        ha="center",
        va="center",
        rotation=25,
        fontsize=5 * figure.get_figwidth(),
        color="#d62728",
        alpha=0.18,
        zorder=10,
    )


def figure_bytes(figure: Figure, form: Literal["png", "svg"]) -> bytes:
    """Return the figure as a file that holds neither a date nor a software version."""
    file = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with mpl.rc_context(SETTINGS):
        figure.savefig(file, format=form, metadata=metadata)
    return file.getvalue()
