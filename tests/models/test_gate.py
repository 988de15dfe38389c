"""The constants that bring a gate's output to unit variance."""

from __future__ import annotations

import pytest
import torch

from gmsearch.models import build
from gmsearch.models.gate import Scale, first_factor, second_factor
from gmsearch.models.weights import draw_weights
from gmsearch.networks import ACTIVATIONS, PRODUCTS, Gate, GmNetSpec, Site


@pytest.mark.parametrize("init", ["release", "timm"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_unit_variance(product: str, init: str) -> None:
    """With the constant a gate fed with standard normal numbers has variance 1, as sampled."""
    width, source_width, margin = 384, 96, 1
    generator = torch.Generator().manual_seed(0)
    h = torch.randn((6, width, 14, 14), generator=generator)
    source = torch.randn((6, source_width, 14, 14), generator=generator)
    for activation in ACTIVATIONS:
        gate = Gate(product=product, activation=activation)
        site = Site(width, source_width, gate.kernel_size)
        second = second_factor(product, site)
        draw_weights(second, seed=0, init=init)
        first = first_factor(product, gate, site, unit_variance=init)
        with torch.no_grad():
            y = first(h, second(h, source))
        inner = y[..., margin:-margin, margin:-margin]
        assert inner.var().item() == pytest.approx(1, rel=0.08), activation


def test_gain_is_off_by_default() -> None:
    """The network as released has no constant; `unit_variance` puts one at every activation."""
    shape = {"widths": (4, 4), "depths": (1, 2), "mlp_ratio": 2}
    gate = Gate(placement=("input", "expand"), stages=(1,))
    for gain, count in (("none", 0), ("unit_variance", 1 + 2 * 2)):
        model = build(GmNetSpec(**shape, gate=gate, gain=gain), num_classes=2, seed=0)
        assert sum(isinstance(module, Scale) for module in model.modules()) == count
