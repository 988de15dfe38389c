"""The closed form against fvcore, the built network and the operators it runs."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys

import pytest
import timm
import torch

from gmsearch.candidate import ACTIVATIONS, PLACEMENTS, PRODUCTS, Gate, GmNet, candidate_from
from gmsearch.cost import Cost, cost
from gmsearch.errors import FieldError
from gmsearch.measured_cost import _Elementwise, measured_cost
from gmsearch.models import build

PLACES = [subset for size in (1, 2, 3) for subset in itertools.combinations(PLACEMENTS, size)]
STEMS = ("imagenet", "cifar")
RESOLUTIONS = (1, 2, 5, 8, 9, 13, 16)


def some_network(rng: random.Random, stages: int, gate: Gate, stem: str) -> GmNet:
    """Return a small network with everything but its gate and stem drawn."""
    return GmNet(
        widths=tuple(rng.randint(1, 9) for _ in range(stages)),
        depths=tuple(rng.randint(1, 2) for _ in range(stages)),
        mlp_ratio=tuple(rng.choice((1, 1.5, 2, 2.7)) for _ in range(stages)),
        kernel_size=tuple(rng.choice((1, 3, 5, 7)) for _ in range(stages)),
        stem_width=rng.randint(1, 5),
        stem=stem,
        gate=gate,
        layer_scale=rng.choice((None, 1e-6)),
        gain=rng.choice(("none", "unit_variance")),
        init=rng.choice(("release", "timm")),
        drop_path_rate=rng.choice((0, 0.2)),
    )


@pytest.mark.parametrize("product", PRODUCTS)
def test_equals_fvcore(product: str) -> None:
    """At every product, placement and stem all four numbers are those measured, exactly."""
    rng = random.Random(product)
    activations = itertools.cycle(ACTIVATIONS)
    for placement, stem in itertools.product(PLACES, STEMS):
        gate = Gate(
            product=product,
            activation=next(activations),
            placement=placement,
            kernel_size=rng.choice((1, 3, 5)),
            stages=rng.choice(("all", (1,))),
        )
        candidate = some_network(rng, 2, gate, stem)
        in_chans, classes = rng.choice((1, 3)), rng.randint(1, 12)
        resolution = rng.choice(RESOLUTIONS)
        model = build(candidate, num_classes=classes, in_chans=in_chans, seed=0)
        measured, unknown = measured_cost(model, resolution, in_chans)
        assert unknown == {}
        assert measured == cost(
            candidate, num_classes=classes, resolution=resolution, in_chans=in_chans
        ), candidate


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_the_operators_run(activation: str) -> None:
    """At every product, activation, placement and stem the element-wise work is what is run."""
    rng = random.Random(activation)
    for product, placement, stem in itertools.product(PRODUCTS, PLACES, STEMS):
        gate = Gate(
            product=product,
            activation=activation,
            placement=placement,
            kernel_size=rng.choice((1, 3)),
        )
        candidate = some_network(rng, 1, gate, stem)
        resolution = rng.choice(RESOLUTIONS)
        model = build(candidate, num_classes=2, seed=0).eval()
        with torch.no_grad(), _Elementwise() as seen:
            model(torch.zeros(1, 3, resolution, resolution))
        closed = cost(candidate, num_classes=2, resolution=resolution)
        assert closed.elementwise_ops == seen.ops, candidate
        assert closed.activation_elements == seen.elements, candidate
        assert closed.params == sum(p.numel() for p in model.parameters()), candidate


def test_official_network() -> None:
    """gmnet_s3 at 224 pixels costs what is published, rounded, and known exactly."""
    assert cost(candidate_from({"preset": "gmnet_s3"}), num_classes=1000, resolution=224) == Cost(
        params=7_791_544,
        flops=1_241_744_512,
        elementwise_ops=10_750_208,
        activation_elements=10_750_208,
    )


@pytest.mark.parametrize(
    ("tree", "params", "giga"),
    [
        ({"preset": "gmnet_s1"}, "3.7", "0.6"),
        ({"preset": "gmnet_s2"}, "6.2", "0.9"),
        ({"preset": "gmnet_s3"}, "7.8", "1.2"),
        ({"preset": "gmnet_s4"}, "17.0", "2.7"),
        ({"preset": "gmnet_s3", "gate": {"product": "fc"}}, "20.2", "3.2"),
        ({"preset": "gmnet_s3", "gate": {"product": "split"}}, "10.9", "1.7"),
    ],
)
def test_published_figures(tree: dict[str, object], params: str, giga: str) -> None:
    """Parameters and flops round to what is published or follows from it, in M and G."""
    counted = cost(candidate_from(tree), num_classes=1000, resolution=224)
    assert f"{counted.params / 1e6:.1f}" == params
    assert f"{counted.flops / 1e9:.1f}" == giga


def test_starnet_costs_what_timm_builds() -> None:
    """With `split` and no layer scale all four numbers are those of timm's StarNet-S1."""
    tree = {"widths": (24, 48, 96, 192), "depths": (2, 2, 8, 3), "layer_scale": None}
    closed = cost(
        candidate_from({**tree, "gate": {"product": "split"}}), num_classes=1000, resolution=97
    )
    assert (closed, {}) == measured_cost(timm.create_model("starnet_s1"), 97)


def test_one_expression_for_a_block() -> None:
    """A block adds the parameters and multiply-adds that follow from its shape by hand."""
    width, ratio, k, side = 10, 3, 5, 7
    shape = {"widths": (width,), "mlp_ratio": ratio, "kernel_size": k, "stem": "cifar"}
    one, two = (
        cost(GmNet(**shape, depths=(depth,)), num_classes=4, resolution=2 * side)
        for depth in (1, 2)
    )
    hidden = ratio * width
    depthwise, pointwise = width * k**2, width * hidden
    biases, norms, scale = 3 * width + hidden, 2 * 2 * width, width
    assert two.params - one.params == 2 * (depthwise + pointwise) + biases + norms + scale
    assert two.flops - one.flops == side**2 * (2 * (depthwise + pointwise) + 2 * 2 * width)
    assert two.elementwise_ops - one.elementwise_ops == side**2 * 2 * (hidden + width)


def test_pool_is_charged_its_window() -> None:
    """A k x k pool costs k^2 operations per element but writes each once."""
    kernel_size, elements = 5, 4 * 2 * 3**2
    pool, self_gate = (
        cost(
            GmNet(widths=(4,), depths=(1,), mlp_ratio=2, stem="cifar", gate=gate),
            num_classes=2,
            resolution=6,
        )
        for gate in (Gate(product="pool", kernel_size=kernel_size), Gate(product="self"))
    )
    assert pool.elementwise_ops - self_gate.elementwise_ops == kernel_size**2 * elements
    assert pool.activation_elements - self_gate.activation_elements == elements
    assert (pool.params, pool.flops) == (self_gate.params, self_gate.flops)


@pytest.mark.parametrize("resolution", [0, -3])
def test_no_pixel_is_an_error(resolution: int) -> None:
    """A resolution below one pixel is refused by name."""
    with pytest.raises(FieldError) as caught:
        cost(GmNet(widths=(4,), depths=(1,)), num_classes=2, resolution=resolution)
    assert caught.value.path == "resolution"


def test_metrics_are_named_as_in_records() -> None:
    """`metrics` gives the four static metrics under the names of the records."""
    from gmsearch.trial import STATIC_METRICS

    counted = cost(GmNet(widths=(4,), depths=(1,)), num_classes=2, resolution=8)
    assert tuple(counted.metrics()) == STATIC_METRICS
    assert counted.metrics()["flops"] == counted.flops


def test_needs_no_torch() -> None:
    """Counting in closed form loads neither torch nor timm nor fvcore."""
    script = (
        "import sys; from gmsearch.cost import cost; from gmsearch.candidate import GmNet;"
        "cost(GmNet(widths=(4,), depths=(1,)), num_classes=2, resolution=8);"
        "print([m for m in ('torch', 'timm', 'fvcore') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
