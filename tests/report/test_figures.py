"""The figures: the same bytes, nothing on top of anything else, nothing for nothing."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gmsearch import ledger
from gmsearch.report.curves import trace
from gmsearch.report.dominance import find_front
from gmsearch.report.figures.curves import curve_figure
from gmsearch.report.figures.front import front_figure
from gmsearch.report.figures.style import SETTINGS, figure_bytes, styles

MakeStudy = Callable[..., Any]
OBJECTIVES = "{top1: maximize, high@10: maximize, flops: minimize, latency_ms: minimize}"


def _boxes(figure: Figure) -> tuple[list[Bbox], Bbox]:
    """Return what each panel, the legend and the title take, and the figure itself."""
    with mpl.rc_context(SETTINGS):
        FigureCanvasAgg(figure).draw()
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        parts = [ax for ax in figure.axes if ax.axison]
        title = [figure._suptitle] if figure._suptitle is not None else []
        boxes = [part.get_tightbbox(renderer) for part in (*parts, *figure.legends, *title)]
    return boxes, figure.bbox


def _assert_nothing_overlaps(figure: Figure) -> None:
    boxes, whole = _boxes(figure)
    for one, other in itertools.combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))
    for box in boxes:
        assert whole.x0 - 1 <= box.x0 <= box.x1 <= whole.x1 + 1
        assert whole.y0 - 1 <= box.y0 <= box.y1 <= whole.y1 + 1
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            labels = [t.get_window_extent() for t in axis.get_ticklabels() if t.get_text()]
            for one, other in itertools.combinations(labels, 2):
                assert not one.padded(-1).overlaps(other.padded(-1))


@pytest.mark.parametrize(
    ("objectives", "panels"),
    [
        (OBJECTIVES, 6),
        ("{top1: maximize, flops: minimize, latency_ms: minimize}", 3),
        ("{high@10: maximize, latency_ms: minimize}", 1),
        ("{top1: maximize}", 1),
    ],
)
def test_every_pair_of_objectives_has_a_panel_and_room(
    make_study: MakeStudy, fill: Callable[..., Any], objectives: str, panels: int
) -> None:
    """The front of any number of objectives is drawn without one text on another."""
    study = fill(make_study((OBJECTIVES, objectives)), 2)

    figure = front_figure(find_front(study.facts))

    assert figure is not None
    assert sum(ax.axison for ax in figure.axes) == panels
    _assert_nothing_overlaps(figure)


def test_a_constant_objective_has_no_panel(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """An axis on which every arm stands at one place is not drawn."""
    study = fill(
        make_study((OBJECTIVES, "{top1: maximize, flops: minimize, params: minimize}")), 2
    )

    figure = front_figure(find_front(study.facts))

    assert figure is not None
    labels = {ax.get_xlabel() for ax in figure.axes} | {ax.get_ylabel() for ax in figure.axes}
    assert labels == {"flops ↓", "top1 ↑ (%)"}


@pytest.mark.parametrize("trials", [0, 1])
def test_a_front_of_none_or_one(make_study: MakeStudy, trials: int) -> None:
    """Nothing measured is no figure; a single arm is one."""
    study = make_study((OBJECTIVES, "{top1: maximize, flops: minimize}"))
    for _ in range(trials):
        study.add_trial("none relu", 0, {"top1": 0.5, "flops": 10})

    assert (front_figure(find_front(study.facts)) is not None) == bool(trials)


def test_costs_of_many_magnitudes_are_drawn_on_a_logarithmic_axis(make_study: MakeStudy) -> None:
    """A cost that spans more than a factor of twenty is spread out, with plain tick labels."""
    study = make_study((OBJECTIVES, "{top1: maximize, flops: minimize}"))
    for params, flops in (("none relu6", 1e5), ("none relu", 1e6), ("none gelu", 4e7)):
        study.add_trial(params, 0, {"top1": flops / 1e8, "flops": flops})

    figure = front_figure(find_front(study.facts))

    assert figure is not None
    assert [ax.get_xscale() for ax in figure.axes] == ["log"]
    _boxes(figure)
    ticks = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert "1M" in ticks
    assert not any("$" in text for text in ticks)


def test_curves_show_every_radius_without_overlap(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """One panel for loss, raw images and each side of each radius, one line for each arm."""
    study = fill(make_study(), 3, histories=True)
    facts = trace(study.facts, _histories(study))

    figure = curve_figure(facts)

    assert figure is not None
    titles = [ax.get_title().split(" ")[0] for ax in figure.axes]
    assert titles == ["top1", "low@4", "low@10", "train_loss", "high@4", "high@10"]
    assert all(len(ax.lines) == 7 for ax in figure.axes)
    _assert_nothing_overlaps(figure)


def test_curves_average_the_seeds_epoch_by_epoch(
    make_study: MakeStudy,
) -> None:
    """Epochs without a value are left out, and n is the seeds that have one."""
    study = make_study()
    for seed in range(2):
        study.add_trial("none relu", seed, {"top1": 0.5})
    keys = list(study.facts.arms[0].keys.values())
    common = {"split": "holdout", "epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.0]}

    facts = trace(
        study.facts,
        {
            keys[0]: {**common, "top1": [0.1, None, 0.3]},
            keys[1]: {**common, "epoch": [1, 2], "train_loss": [1.0, 2.0], "top1": [0.3, None]},
        },
    )
    panels = {panel.metric.name: panel.curves[0] for panel in facts.panels}

    assert facts.splits == ("holdout",)
    assert panels["top1"].epochs == (1, 3)
    assert [point.n for point in panels["top1"].points] == [2, 1]
    assert [point.mean for point in panels["train_loss"].points] == [2.0, 2.0, 1.0]
    assert set(panels) == {"train_loss", "top1"}


def test_without_a_history_there_is_no_figure(make_study: MakeStudy) -> None:
    """No history gives no panel and no figure."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5})

    facts = trace(study.facts, {})

    assert facts.panels == ()
    assert curve_figure(facts) is None


def test_few_arms_are_all_told_apart_many_only_the_preferred(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """Styles differ in colour and marker; beyond the palette only the preferred have one."""
    few = fill(make_study(), 1).facts
    wide = fill(make_study(("relu6, gelu]", "relu6, gelu, silu, mish]")), 1).facts

    all_styles = styles(few, [])
    some = styles(wide, wide.arms[3:5])

    assert len(all_styles) == 7
    assert len({style.color for style in all_styles.values()}) == 7
    assert len({style.marker for style in all_styles.values()}) == 7
    assert set(some) == {wide.arms[0].digest, wide.arms[3].digest, wide.arms[4].digest}


def test_files_are_the_same_bytes_and_tell_no_time(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """Two figures of the same facts are equal files, the SVG well-formed and without a date."""
    study = fill(make_study(), 2)

    files = [
        [figure_bytes(figure, "png"), figure_bytes(figure, "svg")]
        for figure in (front_figure(find_front(study.facts)) for _ in range(2))
        if figure is not None
    ]

    assert len(files) == 2
    assert files[0] == files[1]
    ET.fromstring(files[0][1])  # noqa: S314 - our own file
    assert b"<dc:date>" not in files[0][1]
    assert b"Matplotlib" not in files[0][0][:400]


def test_error_bars_are_sd_over_seeds_and_latency_intervals(
    make_study: MakeStudy,
) -> None:
    """The bars drawn reach as far as the spread that the table states."""
    study = make_study((OBJECTIVES, "{top1: maximize, latency_ms: minimize}"))
    study.add_timing("none relu", 2.0)
    study.add_timing("none gelu", 1.0)
    for seed, top1 in enumerate((0.5, 0.6)):
        study.add_trial("none relu", seed, {"top1": top1})
        study.add_trial("none gelu", seed, {"top1": top1 / 2})

    figure = front_figure(find_front(study.facts))

    assert figure is not None
    segments = [c.get_segments()[0] for c in figure.axes[0].collections]
    spans = {tuple(np.round(np.ptp(segment, axis=0), 3).tolist()) for segment in segments}
    sd = 100 * np.std([0.5, 0.6], ddof=1)
    assert (0.08, 0.0) in spans  # 2 % to either side of 2 ms
    assert (0.0, round(2 * sd, 3)) in spans


def _histories(study: Any) -> dict[str, Any]:
    keys = [key for arm in study.facts.arms for key in arm.keys.values()]
    return {key: ledger.read_history(study.folder, key) for key in keys}
