"""The closed form against fvcore, the built network and the operators it runs."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import timm
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gmsearch.errors import FieldError
from gmsearch.measured_cost import measured_cost
from gmsearch.metrics import STATIC_METRICS
from gmsearch.models import build
from gmsearch.networks import (
    ACTIVATIONS,
    PLACEMENTS,
    PRODUCTS,
    Cost,
    Gate,
    GmNetSpec,
    MobileNetV2Spec,
    ResNet18Spec,
    candidate_from,
    cost,
)

# Exhaustive loops: tracing each of their steps more than doubles their time, and shows nothing
# that the other tests of these modules do not cover.
pytestmark = pytest.mark.no_cover

Network = GmNetSpec | ResNet18Spec | MobileNetV2Spec

FAMILIES = ("gmnet", "resnet18", "mobilenetv2")
STEMS = ("imagenet", "cifar")
RESOLUTIONS = (1, 2, 5, 8, 9, 13, 16)


def places_of(family: str) -> list[tuple[str, ...]]:
    """Return every set of places of a family."""
    names = PLACEMENTS[family]
    sizes = range(1, len(names) + 1)
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def some_network(rng: random.Random, family: str, gate: Gate, stem: str) -> Network:
    """Return a small network of two stages, or seven, with all but its gate and stem drawn."""
    stages = 7 if family == "mobilenetv2" else 2
    shared: dict[str, Any] = {
        "widths": tuple(rng.randint(1, 9) for _ in range(stages)),
        "depths": tuple(rng.randint(1, 2) for _ in range(stages)),
        "stem_width": rng.randint(1, 9),
        "stem": stem,
        "gate": gate,
        "gain": rng.choice(("none", "unit_variance")),
        "drop_path_rate": rng.choice((0, 0.2)),
    }
    if family == "resnet18":
        return ResNet18Spec(**shared)
    shared |= {
        "mlp_ratio": tuple(rng.choice((1, 1.5, 2, 2.7)) for _ in range(stages)),
        "kernel_size": tuple(rng.choice((1, 3, 5, 7)) for _ in range(stages)),
    }
    if family == "mobilenetv2":
        return MobileNetV2Spec(**shared, head_width=rng.randint(1, 9))
    return GmNetSpec(**shared, layer_scale=rng.choice((None, 1e-6)))


class ShapesOnly(TorchDispatchMode):
    """Counts what is run on the meta device, where a tensor has a shape and no values.

    The rules are written here once more, from the definition of each operator.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.ops = self.elements = 0

    def __torch_dispatch__(  # noqa: D105 - torch's
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        written = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        out = written[0] if isinstance(written, tuple) else written
        if name == "convolution":
            self.flops += out.numel() * args[1][0].numel()
        elif "batch_norm" in name:
            self.flops += 2 * out.numel()
        elif name == "native_layer_norm":
            self.flops += 5 * out.numel()
        elif name == "addmm":
            self.flops += out.numel() * args[1].shape[1]
        elif name in ("mean", "_adaptive_avg_pool2d"):
            self.flops += args[0].numel()
        elif name in ("avg_pool2d", "max_pool2d_with_indices"):
            self.ops += out.numel() * args[1][0] ** 2
            self.elements += out.numel()
        elif name not in ("empty", "view", "permute", "t"):
            self.ops += out.numel()
            self.elements += out.numel()
        return written


def from_shapes(candidate: Network, resolution: int, classes: int) -> Cost:
    """Count a network by running it on the meta device."""
    model = build(candidate, num_classes=classes, seed=0).eval().to("meta")
    with torch.no_grad(), ShapesOnly() as seen:
        model(torch.empty(1, 3, resolution, resolution, device="meta"))
    return Cost(
        params=sum(p.numel() for p in model.parameters()),
        flops=seen.flops,
        elementwise_ops=seen.ops,
        activation_elements=seen.elements,
    )


def summed(counted: Cost) -> tuple[int, ...]:
    """Return the sum over the kinds."""
    return tuple(map(sum, zip(*counted.by_kind().values(), strict=True)))


def gates(rng: random.Random, family: str, product: str) -> Iterator[Gate]:
    """Return a gate for every set of places, the activations taken in turn."""
    activations = itertools.cycle(rng.sample(tuple(ACTIVATIONS), len(ACTIVATIONS)))
    for placement in places_of(family):
        yield Gate(
            product=product,
            activation=next(activations),
            placement=placement,
            kernel_size=rng.choice((1, 3, 5)),
            stages=rng.choice(("all", (1,))),
        )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("product", PRODUCTS)
def test_equals_fvcore(family: str, product: str) -> None:
    """At every product, placement and stem all numbers of every kind are those measured."""
    rng = random.Random(family + product)
    stems = itertools.cycle(STEMS)
    for gate in gates(rng, family, product):
        candidate = some_network(rng, family, gate, next(stems))
        in_chans, classes = rng.choice((1, 3)), rng.randint(1, 12)
        resolution = rng.choice(RESOLUTIONS)
        model = build(candidate, num_classes=classes, in_chans=in_chans, seed=0)
        measured, unknown = measured_cost(model, resolution, in_chans)
        assert unknown == {}
        closed = cost(candidate, num_classes=classes, resolution=resolution, in_chans=in_chans)
        assert closed == measured, candidate
        assert closed.by_kind() == measured.by_kind(), candidate


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_what_the_shapes_say(family: str) -> None:
    """At every product and placement, and at every activation, the shapes alone say the same.

    Also at sizes that fvcore would take long for, odd ones among them.
    """
    rng = random.Random(family)
    pairs = list(itertools.product(PRODUCTS, places_of(family)))
    draws = itertools.cycle(rng.sample(pairs, len(pairs)))
    for activation, (product, placement) in zip(5 * tuple(ACTIVATIONS), draws, strict=False):
        gate = Gate(
            product=product,
            activation=activation,
            placement=placement,
            kernel_size=rng.choice((1, 3)),
        )
        candidate = some_network(rng, family, gate, rng.choice(STEMS))
        resolution = rng.choice((1, 31, 32, 97, 224, 225))
        closed = cost(candidate, num_classes=5, resolution=resolution)
        assert closed == from_shapes(candidate, resolution, 5), candidate
        assert summed(closed) == tuple(closed.metrics().values()), candidate


@pytest.mark.parametrize("name", ["gmnet_s4", "res18_gate_gelu", "mobilenetv2_ewp"])
def test_presets_from_shapes(name: str) -> None:
    """Whole networks cost at 224 pixels what their shapes say."""
    candidate = candidate_from({"preset": name})
    closed = cost(candidate, num_classes=1000, resolution=224)
    assert closed == from_shapes(candidate, 224, 1000)


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
        ({"preset": "res18"}, "11.7", "1.8"),
        ({"preset": "mobilenetv2"}, "3.5", "0.3"),
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


@pytest.mark.parametrize(
    ("preset", "name"), [("res18", "resnet18"), ("mobilenetv2", "mobilenetv2_100")]
)
def test_classics_cost_what_timm_builds(preset: str, name: str) -> None:
    """The two classics cost, kind by kind, what timm's do."""
    closed = cost(candidate_from({"preset": preset}), num_classes=1000, resolution=97)
    measured, unknown = measured_cost(timm.create_model(name), 97)
    assert (closed, {}) == (measured, unknown)
    assert closed.by_kind() == measured.by_kind()


def test_kinds_of_the_official_network() -> None:
    """The parameters of gmnet_s3 by kind are those that follow from its widths by hand."""
    widths, depths = (48, 96, 192, 384), (3, 3, 8, 3)
    closed = cost(candidate_from({"preset": "gmnet_s3"}), num_classes=1000, resolution=224)
    blocks = [(width, depth) for width, depth in zip(widths, depths, strict=True)]
    before = (32, *widths)
    strided = zip((3, *before), before, strict=False)
    assert {kind: count.params for kind, count in closed.by_kind().items() if count.params} == {
        "conv": sum(9 * a * b + b for a, b in strided),
        "depthwise": sum(depth * 2 * (49 + 1) * width for width, depth in blocks),
        "pointwise": sum(depth * (8 * width**2 + 5 * width) for width, depth in blocks),
        "norm": 2 * (sum(before) + 384 + sum(2 * depth * width for width, depth in blocks)),
        "layer_scale": sum(depth * width for width, depth in blocks),
        "linear": 385 * 1000,
    }


def test_one_expression_for_a_block() -> None:
    """A block adds the parameters and multiply-adds that follow from its shape by hand."""
    width, ratio, k, side = 10, 3, 5, 7
    shape = {"widths": (width,), "mlp_ratio": ratio, "kernel_size": k, "stem": "cifar"}
    one, two = (
        cost(GmNetSpec(**shape, depths=(depth,)), num_classes=4, resolution=2 * side)
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
            GmNetSpec(widths=(4,), depths=(1,), mlp_ratio=2, stem="cifar", gate=gate),
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
        cost(GmNetSpec(widths=(4,), depths=(1,)), num_classes=2, resolution=resolution)
    assert caught.value.path == "resolution"


def test_metrics_are_named_as_in_records() -> None:
    """`metrics` gives the four static metrics under the names of the records."""
    counted = cost(GmNetSpec(widths=(4,), depths=(1,)), num_classes=2, resolution=8)
    assert tuple(counted.metrics()) == STATIC_METRICS
    assert counted.metrics()["flops"] == counted.flops


def test_needs_no_torch() -> None:
    """Counting in closed form loads neither torch nor timm nor fvcore."""
    script = (
        "import sys; from gmsearch.networks import cost; from gmsearch.networks import GmNetSpec;"
        "cost(GmNetSpec(widths=(4,), depths=(1,)), num_classes=2, resolution=8);"
        "print([m for m in ('torch', 'timm', 'fvcore') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
