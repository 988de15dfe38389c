"""Tables of networks: rows added at run time, digests, all errors at once, measured costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import torch
from torch import nn

from gmsearch.costs import Task, counted
from gmsearch.errors import FieldError
from gmsearch.limits import Limit
from gmsearch.measured_cost import measured_cost
from gmsearch.models import build
from gmsearch.models.families import NETWORKS
from gmsearch.networks import (
    ACTIVATIONS,
    FAMILIES,
    PRESETS,
    PRODUCTS,
    ActivationRow,
    FamilyRow,
    ProductRow,
    Site,
    adopted,
    candidate_from,
    candidate_identity,
    cost,
    is_counted,
)
from gmsearch.networks.count import PartCost, forget_counts, part
from gmsearch.plain import plain
from gmsearch.tables import Table

TINY: dict[str, Any] = {"widths": [4, 6], "depths": [1, 2], "mlp_ratio": 2, "kernel_size": 3}
SOURCE = "5" * 64

DIGESTS = {
    "gmnet_s1": "5a55158f2a24c958",
    "gmnet_s2": "0d5675cfb639d0e1",
    "gmnet_s3": "9ae8e07d959f3d4e",
    "gmnet_s4": "60a3f60abae3373b",
    "res18": "9e6e007bbc22d8f4",
    "res18_ewp": "c5caeb2ea981a7d4",
    "res18_gate_relu6": "b076d4ba5c6bc452",
    "res18_gate_gelu": "fcb3c6b20831b60f",
    "mobilenetv2": "8bd72f1b40f2ccb7",
    "mobilenetv2_ewp": "11ca0e7622c272ea",
    "mobilenetv2_gate_relu6": "ac41eb799809a246",
    "mobilenetv2_gate_gelu": "056a6402ab5a5429",
}


class Swish(nn.Module):
    """h * sigmoid(1.5 h)."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return the activation; any shape."""
        return h * torch.sigmoid(1.5 * h)


class Shift(nn.Module):
    """A second factor with weights of its own: h times a learned number per channel."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(site.width, 1, 1))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return phi(h), of the shape of h."""
        return h * self.weight


@dataclasses.dataclass(frozen=True)
class Line:
    """A user's family: one linear layer of the mean colour, `depth` times."""

    depth: Annotated[int, Limit(ge=1, le=3)] = 1
    widths: tuple[int, ...] = (8,)
    scale: float = 1.0

    def build(self, num_classes: int) -> nn.Module:
        """Return the network."""
        inner = [nn.Linear(3, 3) for _ in range(self.depth)]
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), *inner, nn.Linear(3, num_classes)
        )


@pytest.fixture
def rows() -> Iterator[None]:
    """Add an activation, a product and a family as a plugin does, and take them out again."""
    ACTIVATIONS.register(
        "swish_t", ActivationRow(text="a swish", steps=None, build=Swish, source=SOURCE)
    )
    PRODUCTS.register(
        "shifted",
        ProductRow(text="h shifted", count=None, has_moments=False, build=Shift, source=SOURCE),
    )
    FAMILIES.register(
        "line",
        FamilyRow(
            spec=adopted(Line, "line"), text="a line", parts=None, build=Line.build, source=SOURCE
        ),
    )
    yield
    del ACTIVATIONS["swish_t"], PRODUCTS["shifted"], FAMILIES["line"]
    forget_counts()


@pytest.mark.parametrize("name", PRESETS)
def test_digests_of_presets_are_pinned(name: str) -> None:
    """The digest of a preset never changes: it is in ledgers of every release."""
    assert candidate_from({"preset": name}).digest == DIGESTS[name]
    assert "plugins" not in candidate_identity(candidate_from({"preset": name}))


def test_families_with_and_without_torch_agree() -> None:
    """A family that is no plugin's has a row in both tables."""
    assert list(NETWORKS) == list(FAMILIES)


def test_a_failed_lookup_lists_the_names() -> None:
    """A name that a table lacks is refused with the names there are; a taken name is refused."""
    table = Table("colour", {"red": 1, "blue": 2})
    with pytest.raises(FieldError, match="colour: expected one of red, blue, got 'green'"):
        table["green"]
    with pytest.raises(FieldError, match="colour: 'red' exists already"):
        table.register("red", 3)
    assert table["red"] == 1


@pytest.mark.parametrize("table", [ACTIVATIONS, PRODUCTS, FAMILIES])
def test_no_plugin_replaces_a_row_of_ours(table: Table[Any]) -> None:
    """Every name of ours is refused, and its row stays."""
    for name, row in dict(table).items():
        with pytest.raises(FieldError, match="exists already; choose another name"):
            table.register(name, row)
        assert table[name] is row


@pytest.mark.parametrize("family", ["gmnet", "resnet18", "mobilenetv2"])
def test_parts_of_a_plugin_work_in_every_family(family: str, rows: None) -> None:
    """An added activation and product build, are measured, and are in the digest by their file."""
    tree = {**(TINY if family == "gmnet" else {}), "family": family}
    if family == "resnet18":
        tree |= {"widths": [4, 6], "depths": [1, 1]}
    candidate = candidate_from({**tree, "gate": {"product": "shifted", "activation": "swish_t"}})
    assert candidate_identity(candidate)["plugins"] == {
        "activation:swish_t": SOURCE,
        "product:shifted": SOURCE,
    }
    model = build(candidate, num_classes=2, seed=0)
    assert sum(isinstance(module, Shift) for module in model.modules()) > 0
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 2)

    assert not is_counted(candidate)
    with pytest.raises(FieldError, match="states no cost"):
        cost(candidate, num_classes=2, resolution=16)
    total, _ = counted(candidate, Task(2, 16))
    assert total == measured_cost(model, 16)[0]
    assert total.params == sum(p.numel() for p in model.parameters())


def test_weights_of_a_plugin_follow_from_the_seed(rows: None) -> None:
    """The same seed gives the same weights, another seed others; the global state is kept."""
    candidate = candidate_from({**TINY, "gate": {"product": "shifted"}})
    before = torch.random.get_rng_state()
    one, same, other = (build(candidate, num_classes=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    name = "stages.0.1.f2.layer.weight"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


def test_a_stated_cost_is_the_closed_form(rows: None) -> None:
    """With stated costs an added part is counted without torch, as it is measured."""

    def count(site: Site, side: int) -> PartCost:
        elements = site.width * side**2
        return part(
            "multiply",
            params=site.width,
            elementwise_ops=elements,
            activation_elements=elements,
        )

    PRODUCTS["shifted"] = dataclasses.replace(PRODUCTS["shifted"], count=count)
    candidate = candidate_from({**TINY, "gate": {"product": "shifted"}})
    assert is_counted(candidate)
    model = build(candidate, num_classes=2, seed=0)
    assert cost(candidate, num_classes=2, resolution=16) == measured_cost(model, 16)[0]


def test_gain_needs_the_moments_of_the_product(rows: None) -> None:
    """A product without known moments is refused where the gate is to have unit variance."""
    gate = {"product": "shifted"}
    with pytest.raises(FieldError, match="gain: the moments of product shifted are not known"):
        candidate_from({**TINY, "gate": gate, "gain": "unit_variance"})


def test_a_family_of_a_plugin_is_a_candidate(rows: None) -> None:
    """Its spec has limits, one canonical form, a digest with its file, and builds."""
    one = candidate_from({"family": "line", "widths": 4, "scale": 2})
    assert plain(one) == {"depth": 1, "widths": [4], "scale": 2.0, "family": "line"}
    assert one == candidate_from(plain(one)) == candidate_from({**plain(one), "widths": [4]})
    assert isinstance(one, Line)
    assert candidate_identity(one)["plugins"] == {"family:line": SOURCE}
    assert one.kernel_warnings(8) == []
    assert build(one, num_classes=5, seed=0)(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    with pytest.raises(FieldError, match=r"depth: expected an integer from 1 to 3, got 4"):
        candidate_from({"family": "line", "depth": 4})
    with pytest.raises(FieldError, match="expected 3 input channels, got 1"):
        build(one, num_classes=2, in_chans=1, seed=0)
    assert not is_counted(one)
    assert counted(one, Task(5, 8))[0].params == 12 + 20


def test_the_digest_follows_the_file(rows: None) -> None:
    """Another file under the same names gives another digest."""
    tree = {**TINY, "gate": {"activation": "swish_t"}}
    before = candidate_from(tree).digest
    ACTIVATIONS["swish_t"] = dataclasses.replace(ACTIVATIONS["swish_t"], source="6" * 64)
    assert candidate_from(tree).digest != before


def test_all_errors_of_a_network_come_at_once() -> None:
    """Fields, the gate's fields and rules between them are reported together."""
    tree = {
        "widths": [8, 16],
        "depths": [1],
        "stem": "big",
        "mlp_ratio": [1, 2, 3],
        "gate": {"product": "fcc", "kernel_size": 2},
    }
    with pytest.raises(FieldError) as caught:
        candidate_from(tree)
    assert [error.path for error in caught.value.errors] == [
        "stem",
        "depths",
        "mlp_ratio",
        "gate.product",
        "gate.kernel_size",
    ]


def test_a_gate_must_be_a_gate() -> None:
    """A value that is no gate is refused by name."""
    spec: Any = FAMILIES["gmnet"].spec
    with pytest.raises(FieldError, match="gate: expected a Gate, got 'self'"):
        spec(widths=(4,), depths=(1,), gate="self")
