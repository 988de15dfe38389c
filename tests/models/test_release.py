"""GmNet against the official release: names, shapes and sizes."""

from __future__ import annotations

import pytest
import timm

from gmsearch.models import build
from gmsearch.networks import PUBLISHED, candidate_from, cost


def shapes_of_the_release() -> dict[str, tuple[int, ...]]:
    """Return names and shapes of gmnet_s3's state dict as the official code makes them."""
    expected: dict[str, tuple[int, ...]] = {}

    def conv(name: str, out_chans: int, per_group: int, kernel_size: int) -> None:
        expected[f"{name}.conv.weight"] = (out_chans, per_group, kernel_size, kernel_size)
        expected[f"{name}.conv.bias"] = (out_chans,)

    def norm(name: str, width: int) -> None:
        for entry in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{name}.{entry}"] = (width,)
        expected[f"{name}.num_batches_tracked"] = ()

    conv("stem.0", 32, 3, 3)
    norm("stem.0.bn", 32)
    before = 32
    for stage, (width, depth) in enumerate([(48, 3), (96, 3), (192, 8), (384, 3)]):
        conv(f"stages.{stage}.0.0", width, before, 3)
        norm(f"stages.{stage}.0.0.bn", width)
        for block in range(1, depth + 1):
            name = f"stages.{stage}.{block}"
            expected[f"{name}.gamma"] = (width,)
            conv(f"{name}.dwconv", width, 1, 7)
            norm(f"{name}.dwconv.bn", width)
            conv(f"{name}.f1", 4 * width, width, 1)
            conv(f"{name}.g", width, 4 * width, 1)
            norm(f"{name}.g.bn", width)
            conv(f"{name}.dwconv2", width, 1, 7)
        before = width
    norm("norm", 384)
    expected["head.weight"], expected["head.bias"] = (1000, 384), (1000,)
    return expected


def test_state_dict_of_s3_is_that_of_the_release() -> None:
    """Names and shapes of gmnet_s3 are the 365 entries of the official state dict."""
    model = timm.create_model("gmnet_s3")
    assert {n: tuple(t.shape) for n, t in model.state_dict().items()} == shapes_of_the_release()
    assert len(model.state_dict()) == 365


@pytest.mark.parametrize(
    ("tree", "params"),
    [
        ({"preset": "gmnet_s1"}, 3_729_760),
        ({"preset": "gmnet_s2"}, 6_159_928),
        ({"preset": "gmnet_s3"}, 7_791_544),
        ({"preset": "gmnet_s4"}, 16_970_560),
        ({"preset": "gmnet_s3", "gate": {"product": "ln"}}, 7_816_504),
        ({"preset": "gmnet_s3", "gate": {"product": "fc"}}, 20_153_464),
        ({"preset": "gmnet_s3", "gate": {"product": "split"}}, 10_891_384),
    ],
)
def test_parameter_counts(tree: dict[str, object], params: int) -> None:
    """Presets and the paper's gates have the parameter counts published or derived from it."""
    built = build(candidate_from(tree), num_classes=1000, seed=0)
    assert sum(p.numel() for p in built.parameters()) == params


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_presets_have_the_published_sizes(name: str) -> None:
    """Parameters and flops are those printed; a MobileNetV2 has 3.5 M, its paper says 3.4."""
    counted = cost(candidate_from({"preset": name}), num_classes=1000, resolution=224)
    published = PUBLISHED[name]
    tolerance = 0.11e6 if name == "mobilenetv2" else 0.051e6
    assert counted.params == pytest.approx(published.params, abs=tolerance)
    assert counted.flops == pytest.approx(published.flops, abs=0.051e9)
