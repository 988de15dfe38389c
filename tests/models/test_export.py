"""Networks out of Python: `torch.export` and ONNX give the outputs of the module."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from gmsearch.models import build
from gmsearch.models.gmnet import Block
from gmsearch.models.mobilenetv2 import DepthwiseSeparable, InvertedResidual
from gmsearch.models.resnet18 import BasicBlock
from gmsearch.models.weights import draw_weights
from gmsearch.networks import ACTIVATIONS, PLACEMENTS, PRODUCTS, candidate_from

WIDTH = 4
SHAPES: dict[str, dict[str, Any]] = {
    "gmnet": {"widths": [4], "depths": [1], "mlp_ratio": 2, "kernel_size": 3, "layer_scale": 0.5},
    "resnet18": {"family": "resnet18", "widths": [4], "depths": [1], "stem_width": 4},
    "mobilenetv2": {
        "family": "mobilenetv2",
        "widths": [4] * 7,
        "depths": [1] * 7,
        "mlp_ratio": [1, 2, 2, 2, 2, 2, 2],
        "stem_width": 4,
        "head_width": 8,
    },
}


def gates(family: str) -> list[dict[str, Any]]:
    """Return every pair of product and place, the activations in turn, each at least once."""
    shift = 5 * list(SHAPES).index(family)  # so that the families pair them differently
    pairs = itertools.product(PRODUCTS, PLACEMENTS[family])
    return [
        {
            "product": product,
            "activation": list(ACTIVATIONS)[(index + shift) % len(ACTIVATIONS)],
            "placement": place,
        }
        for index, (product, place) in enumerate(pairs)
    ]


class Blocks(nn.Module):
    """One block for every gate, beside each other: one export shows them all."""

    def __init__(self, family: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for gate in gates(family):
            candidate: Any = candidate_from({**SHAPES[family], "gate": gate})
            if family == "gmnet":
                self.blocks.append(Block(candidate, 0, 0.0))
            elif family == "resnet18":
                self.blocks.append(
                    BasicBlock(candidate, 0, in_width=WIDTH, stride=2, drop_path=0.0)
                )
            else:
                self.blocks.append(
                    InvertedResidual(
                        candidate, 1, in_width=WIDTH, hidden=8, stride=2, drop_path=0.0
                    )
                )
        draw_weights(self, seed=0, init="release")

    def forward(self, x: Tensor) -> Tensor:
        """Return the blocks' outputs one after the other."""
        return torch.stack([block(x) for block in self.blocks])


def networks() -> dict[str, nn.Module]:
    """Return what is exported, in eval mode."""
    found: dict[str, nn.Module] = {f"{family} blocks": Blocks(family) for family in SHAPES}
    for family, shape in SHAPES.items():
        gate = {"product": "dw", "stages": [0]}
        found[family] = build(candidate_from({**shape, "gate": gate}), num_classes=3, seed=0)
    separable: Any = candidate_from(
        {**SHAPES["mobilenetv2"], "gate": {"product": "split", "placement": "both"}}
    )
    found["mobilenetv2 without expansion"] = DepthwiseSeparable(
        separable, 0, in_width=WIDTH, stride=1, drop_path=0.0
    )
    return {name: model.eval() for name, model in found.items()}


@pytest.mark.parametrize("name", list(networks()))
def test_exported_networks_give_the_same(name: str) -> None:
    """Every product, activation and placement survives `torch.export` and ONNX, to 1e-4."""
    model = networks()[name]
    in_chans = 3 if name in SHAPES else WIDTH
    x = torch.randn((2, in_chans, 6, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x)
    assert expected.isfinite().all()
    near = {"rtol": 1e-4, "atol": 1e-4 * expected.std().item()}

    program = torch.export.export(model, (x,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), expected, **near)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, of packages it looks for
        onnx = torch.onnx.export(program, dynamo=True, verbose=False)
    (actual,) = ReferenceEvaluator(onnx.model_proto).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(actual, expected.numpy(), **near)
