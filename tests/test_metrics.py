"""The table of metrics: what its rows say, how names resolve, and how plugins extend it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from gmsearch import metrics
from gmsearch.errors import InputError
from gmsearch.experiment import MODES, TIMED_DTYPES, Bands, TimingCondition
from gmsearch.networks.count import Count

SOURCE = "ab" * 32


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    metrics.forget(SOURCE)


def test_static_metrics_are_the_fields_of_a_count() -> None:
    """Every static metric is counted, and everything counted is a static metric."""
    assert Count._fields == metrics.STATIC_METRICS


def test_names_of_every_timing_condition_resolve() -> None:
    """A timed metric resolves under every condition a space file can name."""
    for name in metrics.TIMED_METRICS:
        for mode in MODES:
            for dtype in TIMED_DTYPES:
                full = TimingCondition(batch_size=64, mode=mode, dtype=dtype).name(name)
                assert metrics.lookup(full).name == name
                assert metrics.lookup(f"{full}.low").known == "timed"


def test_names_of_bands_resolve() -> None:
    """A band resolves on either split, as a majority, and under a protocol of its own."""
    bands = Bands(radii=(2.5, 10), ranges=((4, 10),))
    families = {"low": "low@r", "high": "high@r", "band": "band@a:b"}
    for name in bands.metrics:
        family = families[name.partition("@")[0]]
        assert metrics.lookup(name).name == family
        assert metrics.lookup(f"holdout.{name}").name == family
        assert metrics.lookup(f"{name}[dc=drop,edge=le]").name == family
        assert metrics.lookup(f"holdout.majority.{name}[dc=drop]").name == "majority.v"
    assert metrics.lookup("majority.raw").name == "majority.v"


@pytest.mark.parametrize(
    "name",
    [
        *("", "top", "top1@4", "low", "low@", "low@x", "high@4:10", "band@4"),
        *("holdout.flops", "holdout.latency_ms", "holdout.chance", "top1[dc=drop]"),
        *("majority", "majority.top1", "latency_ms@64", "low@r", "holdout.holdout.top1"),
    ],
)
def test_names_of_no_metric_are_refused(name: str) -> None:
    """A name without a row is an error, never a default."""
    assert not metrics.is_metric(name)
    with pytest.raises(InputError, match="expected the name of a metric, got"):
        metrics.lookup(name)


def test_a_failed_look_up_lists_the_metrics() -> None:
    """The error names the closest metric, or lists the metrics there are."""
    with pytest.raises(InputError, match="did you mean 'flops'"):
        metrics.lookup("flop")
    with pytest.raises(InputError, match="choose from top1, top5, loss, nodc, low@r, high@r"):
        metrics.lookup("zzz")


def test_majorities_are_of_the_same_images() -> None:
    """The majority of an accuracy is on its own split and version; other metrics have none."""
    assert metrics.majority("top1") == "majority.raw"
    assert metrics.majority("holdout.high@10") == "holdout.majority.high@10"
    assert metrics.majority("high@10[dc=drop]") == "majority.high@10[dc=drop]"
    assert metrics.majority("loss") is None
    assert metrics.majority("flops") is None


def test_losses_and_costs_are_better_when_lower() -> None:
    """The direction of every metric that an objective may name is stated."""
    lower = {row.name for row in metrics.rows() if row.objective and row.better == "lower"}
    costs = {*metrics.STATIC_METRICS, *metrics.TIMED_METRICS} - {"throughput_ips"}
    assert lower == {"loss", *costs}
    assert metrics.lookup("loss").sign == 1
    assert metrics.lookup("holdout.high@10").sign == -1


def test_every_row_is_complete() -> None:
    """A row has a sentence, and splits exactly where it is trained."""
    for row in metrics.rows():
        assert row.text.endswith(".")
        assert bool(row.splits) == (row.known == "trained")


def test_a_plugin_adds_a_trained_metric() -> None:
    """A registered metric resolves like one of ours, on every split and version of the images."""
    row = metrics.register("ece", better="lower", source=SOURCE, text="Calibration error.")
    assert metrics.lookup("ece") is row
    assert metrics.lookup("holdout.ece.high@10[dc=drop]") is row
    assert metrics.is_trained("ece")
    assert (row.source, row.sign, row.form) == (SOURCE, 1, "plain")
    assert "ece" in metrics.names("trained")
    assert metrics.names_on(["nodc", "high@10"]) == (
        *("nodc", "high@10"),
        *("ece.nodc", "ece.high@10"),
    )
    assert "ece" in metrics.names_per_version()
    other = Bands(radii=(10,), dc="drop").protocol
    assert Bands(radii=(10,)).name_of("holdout.ece.high@10", other).endswith("high@10[dc=drop]")
    metrics.forget(SOURCE)
    assert not metrics.is_metric("ece")
    assert "ece" not in metrics.names()


@pytest.mark.parametrize("name", ["top1", "low", "band", "holdout", "raw", "majority", "flops"])
def test_names_that_exist_are_refused(name: str) -> None:
    """A plugin may replace no metric, and take no word that begins or ends a metric's name."""
    with pytest.raises(InputError, match="exists already"):
        metrics.register(name, better="lower", source=SOURCE)


def test_a_second_registration_is_refused() -> None:
    """A name can be registered once."""
    metrics.register("ece", better="lower", source=SOURCE)
    with pytest.raises(InputError, match="exists already"):
        metrics.register("ece", better="lower", source=SOURCE)


@pytest.mark.parametrize("name", ["", "ECE", "1st", "a.b", "a@4", "a b", "holdout.x"])
def test_malformed_names_are_refused(name: str) -> None:
    """A metric's name is a plain lower-case word."""
    with pytest.raises(InputError, match="expected a metric's name of lower-case letters"):
        metrics.register(name, better="lower", source=SOURCE)


def test_an_unknown_direction_is_refused() -> None:
    """The direction is one of two words."""
    with pytest.raises(InputError, match="expected better='lower' or 'higher', got 'up'"):
        metrics.register("ece", better="up", source=SOURCE)  # type: ignore[arg-type]


def test_rows_are_frozen() -> None:
    """A row cannot be changed in place."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.lookup("top1").better = "lower"  # type: ignore[misc]
