"""Matching a cost: against brute force, and what is promised of factor and rounding."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gmsearch.matching import matched
from gmsearch.networks import GmNetSpec, MobileNetV2Spec, ResNet18Spec, candidate_from, cost
from gmsearch.space import Match

OwnNetwork = GmNetSpec | ResNet18Spec | MobileNetV2Spec

SMALL: dict[str, Any] = {
    "widths": (16, 32, 64),
    "depths": (1, 2, 1),
    "mlp_ratio": 2,
    "stem_width": 16,
    "kernel_size": 5,
    "gate": {"product": "none"},
}
ARMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *((SMALL, {"gate": {"product": p}}) for p in ("self", "ln", "dw", "fc", "split", "pool")),
    (SMALL, {"widths": (8, 8, 8)}),
    (SMALL, {"widths": (64, 32, 16), "gate": {"product": "fc"}}),
    ({"preset": "gmnet_s3"}, {"gate": {"product": "fc"}}),
    ({"preset": "res18"}, {"gate": {"product": "fc"}}),
    ({"preset": "mobilenetv2"}, {"gate": {"product": "fc", "placement": "both"}}),
]


def counted(candidate: OwnNetwork, metric: str) -> float:
    """Return a cost at 32 pixels and 10 classes."""
    return cost(candidate, num_classes=10, resolution=32).metrics()[metric]


def own(tree: dict[str, Any]) -> OwnNetwork:
    """Return a candidate of a family of ours."""
    candidate = candidate_from(tree)
    assert candidate.family != "timm"
    return candidate


@pytest.mark.parametrize("metric", ["flops", "params"])
@pytest.mark.parametrize("arm", range(len(ARMS)))
def test_the_cost_is_that_of_the_baseline_within_the_tolerance(arm: int, metric: Any) -> None:
    """Over all families and products, whether the arm was dearer or cheaper; widths alone change.

    The stages keep their ratios up to the rounding and to a tenth.
    """
    base, change = ARMS[arm]
    match = Match(**{metric: "baseline"})
    target = counted(own(base), metric)
    before = own({**base, **change})
    after = matched(before, match, target, lambda candidate: counted(candidate, metric))
    assert abs(counted(after, metric) - target) <= 0.01 * target
    ratios = [new / old for new, old in zip(after.widths, before.widths, strict=True)]
    least = min(after.widths)
    assert max(ratios) / min(ratios) <= 1.25 + 2 / least
    same = {"widths", "digest"}
    for field in before.__dataclass_fields__.keys() - same:
        assert getattr(after, field) == getattr(before, field)


def test_what_costs_the_same_already_stays_as_it_is() -> None:
    """The baseline, and a product that costs nothing in this metric."""
    target = counted(own(SMALL), "flops")
    for change in ({}, {"gate": {"product": "self"}}):
        before = own({**SMALL, **change})
        after = matched(before, Match(flops="baseline"), target, lambda c: counted(c, "flops"))
        assert after == before


@pytest.mark.parametrize("product", ["ln", "dw", "fc", "split"])
def test_no_factor_alone_comes_closer_to_the_shape(product: str) -> None:
    """Where some common factor meets the cost by rounding alone, what is found is rounded so."""
    target = counted(own(SMALL), "flops")
    before = own({**SMALL, "gate": {"product": product}})
    after = matched(before, Match(flops="baseline"), target, lambda c: counted(c, "flops"))
    by_factor = {tuple(round(f / 2000 * w) for w in before.widths) for f in range(500, 2000)}
    good = [
        widths
        for widths in by_factor
        if abs(
            counted(own({**SMALL, "gate": {"product": product}, "widths": widths}), "flops")
            - target
        )
        <= 0.01 * target
    ]
    assert not good or after.widths in good


@pytest.mark.parametrize(("by", "tolerance"), [("mlp_ratio", 0.005), ("depths", 0.1)])
def test_other_fields_are_scaled_likewise(by: Any, tolerance: float) -> None:
    """Ratios to hundredths, a stage of a MobileNetV2 without expansion kept so; whole depths."""
    base: dict[str, Any] = {"preset": "mobilenetv2"}
    match = Match(flops="baseline", by=by, tolerance=tolerance)
    target = counted(own(base), "flops")
    before = own({**base, "gate": {"product": "dw", "placement": "expand"}})
    after = matched(before, match, target, lambda c: counted(c, "flops"))
    assert abs(counted(after, "flops") - target) <= tolerance * target
    assert after.widths == before.widths
    if by == "mlp_ratio":
        assert after.family == "mobilenetv2"
        assert after.mlp_ratio[0] == 1
        assert all(round(100 * ratio) == pytest.approx(100 * ratio) for ratio in after.mlp_ratio)


def test_where_nothing_meets_the_cost_the_nearest_is_returned() -> None:
    """Depths below one block do not exist: the smallest network stands, too dear as it is."""
    target = counted(own(SMALL), "flops")
    before = own({**SMALL, "gate": {"product": "fc"}})
    match = Match(flops="baseline", by="depths")
    after = matched(before, match, target, lambda c: counted(c, "flops"))
    options = itertools.product(range(1, 5), repeat=3)
    costs = [
        counted(own({**SMALL, "gate": {"product": "fc"}, "depths": depths}), "flops")
        for depths in options
    ]
    assert abs(counted(after, "flops") - target) > 0.01 * target
    assert counted(after, "flops") == min(costs, key=lambda value: abs(value - target))
