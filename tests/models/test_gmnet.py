"""GmNet against timm's StarNet and the gate's formula written out."""

from __future__ import annotations

import itertools

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from gmsearch.models import build
from gmsearch.models.gmnet import Block
from gmsearch.networks import ACTIVATIONS, PLACEMENTS, PRODUCTS, Gate, GmNetSpec, candidate_from

PLACES = [
    subset for size in (1, 2, 3) for subset in itertools.combinations(PLACEMENTS["gmnet"], size)
]
FUNCTIONS = {
    "identity": lambda h: h,
    "relu": F.relu,
    "relu6": lambda h: h.clamp(0, 6),
    "leaky_relu": lambda h: torch.where(h > 0, h, 0.01 * h),
    "gelu": lambda h: h * (1 + torch.erf(h / 2**0.5)) / 2,
    "silu": lambda h: h * torch.sigmoid(h),
    "hardswish": lambda h: h * (h + 3).clamp(0, 6) / 6,
    "sigmoid": lambda h: 1 / (1 + torch.exp(-h)),
    "tanh": torch.tanh,
    "softplus": lambda h: torch.log1p(torch.exp(h)),
    "mish": lambda h: h * torch.tanh(torch.log1p(torch.exp(h))),
    "squared_relu": lambda h: h.clamp(min=0) ** 2,
}


def tiny(gate: Gate | None = None, **values: object) -> GmNetSpec:
    """Return a network of two stages that costs next to nothing."""
    tree = {"widths": (4, 6), "depths": (1, 1), "mlp_ratio": (2, 1.5), "kernel_size": (3, 5)}
    tree |= {"stem_width": 4, "stem": "cifar", "layer_scale": 0.5, "gate": gate or Gate()}
    return GmNetSpec(**{**tree, **values})


def network(candidate: GmNetSpec, seed: int = 0) -> nn.Module:
    """Return the network in eval mode, its batch norms made to matter."""
    model = build(candidate, num_classes=3, seed=seed).eval()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
    return model


def images(*shape: int) -> Tensor:
    """Return standard normal images."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def test_release_defaults_start_as_the_identity() -> None:
    """With the release's layer scale of 1e-6 a fresh block leaves its input nearly as it is."""
    block = network(tiny(layer_scale=1e-6)).stages[1][1]
    x = images(1, 6, 8, 8)
    assert torch.equal(block.gamma, torch.full((6,), 1e-6))
    assert (block(x) - x).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("name", "width", "depths"),
    [
        ("starnet_s1", 24, (2, 2, 8, 3)),
        ("starnet_s2", 32, (1, 2, 6, 2)),
        ("starnet_s3", 32, (2, 2, 8, 4)),
        ("starnet_s4", 32, (3, 3, 12, 5)),
    ],
)
def test_split_without_layer_scale_is_starnet(
    name: str, width: int, depths: tuple[int, ...]
) -> None:
    """On copied weights the network with `split` gives the outputs of timm's StarNets."""
    theirs = timm.create_model(name, num_classes=10).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    widths = tuple(width * 2**stage for stage in range(4))
    tree = {"widths": widths, "depths": depths, "layer_scale": None}
    ours = build(candidate_from({**tree, "gate": {"product": "split"}}), num_classes=10, seed=0)
    renamed = {
        # Only our downsampler has the release's slot for an activation.
        ".".join([*parts[:2], "0", "0", *parts[3:]])
        if parts[0] == "stages" and parts[2] == "0"
        else name: tensor
        for name, tensor in theirs.state_dict().items()
        for parts in [name.split(".")]
    }
    ours.load_state_dict(renamed, strict=True)
    x = images(2, 3, 64, 64)
    with torch.no_grad():
        expected, actual = theirs(x), ours.eval()(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def conv(weights: dict[str, Tensor], name: str, h: Tensor, groups: int = 1) -> Tensor:
    """Return a convolution that keeps the size."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.conv2d(h, weight, bias, padding=weight.shape[-1] // 2, groups=groups)


def norm(weights: dict[str, Tensor], name: str, h: Tensor) -> Tensor:
    """Return a batch norm by its running statistics."""
    mean, var, scale, shift = (
        weights[f"{name}.{entry}"].view(-1, 1, 1)
        for entry in ("running_mean", "running_var", "weight", "bias")
    )
    return (h - mean) / torch.sqrt(var + 1e-5) * scale + shift


def second(weights: dict[str, Tensor], gate: Gate, name: str, h: Tensor, source: Tensor) -> Tensor:
    """Return the second factor of a product."""
    width = h.shape[1]
    if gate.product == "ln":
        centred = h - h.mean(1, keepdim=True)
        unit = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-6)
        scale, shift = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
        return unit * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    if gate.product == "pool":
        window = torch.ones(width, 1, gate.kernel_size, gate.kernel_size)
        padding = gate.kernel_size // 2
        total = F.conv2d(h, window, padding=padding, groups=width)
        return total / F.conv2d(torch.ones_like(h), window, padding=padding, groups=width)
    return {
        "self": lambda: h,
        "dw": lambda: conv(weights, f"{name}.dwconv", h, width),
        "fc": lambda: conv(weights, f"{name}.fc", h),
        "split": lambda: conv(weights, f"{name}.conv", source),
    }[gate.product]()


def by_the_formula(block: Block, candidate: GmNetSpec, stage: int, x: Tensor) -> Tensor:
    """Compute a block from its state dict as the gate's table says, each operation written out."""
    weights = block.state_dict()
    gate = candidate.gate
    act = FUNCTIONS[gate.activation]
    gated = gate.product != "none" and (gate.stages == "all" or stage in gate.stages)

    def place(place: str, name: str, h: Tensor, source: Tensor) -> Tensor:
        if gated and place in gate.placement:
            return act(h) * second(weights, gate, name, h, source)
        return act(h) if place == "expand" else h

    u = norm(weights, "dwconv.bn", conv(weights, "dwconv.conv", x, x.shape[1]))
    u = place("input", "input2", u, x)
    h = place("expand", "f2", conv(weights, "f1.conv", u), u)
    y = norm(weights, "g.bn", conv(weights, "g.conv", h))
    y = place("output", "output2", y, h)
    y = conv(weights, "dwconv2.conv", y, x.shape[1])
    return x + (y * weights["gamma"].view(-1, 1, 1) if "gamma" in weights else y)


@pytest.mark.parametrize("placement", PLACES, ids="+".join)
@pytest.mark.parametrize("product", PRODUCTS)
def test_block_is_the_formula(product: str, placement: tuple[str, ...]) -> None:
    """Every product, activation and placement computes the gate's table, in each stage asked."""
    for index, activation in enumerate(ACTIVATIONS):
        candidate = tiny(
            Gate(
                product=product,
                activation=activation,
                placement=placement,
                stages=("all", (1,))[index % 2],
                kernel_size=(3, 5)[index // 2 % 2],
            ),
            layer_scale=(None, 0.5)[index // 4 % 2],
        )
        model = network(candidate)
        for stage, width in enumerate(candidate.widths):
            x = images(2, width, 5, 6)
            with torch.no_grad():
                expected = by_the_formula(model.stages[stage][1], candidate, stage, x)
                actual = model.stages[stage][1](x)
            torch.testing.assert_close(actual, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("placement", PLACES, ids="+".join)
@pytest.mark.parametrize("product", PRODUCTS)
def test_every_parameter_gets_a_gradient(product: str, placement: tuple[str, ...]) -> None:
    """Logits have their shape, the same in channels_last, and every tensor a finite gradient."""
    x = images(2, 3, 9, 9)
    direction = images(2, 3)
    for activation in ACTIVATIONS:
        gate = Gate(product=product, activation=activation, placement=placement)
        stem = ("imagenet", "cifar")[len(activation) % 2]
        model = network(
            tiny(gate, stem=stem, widths=(4,), depths=(1,), mlp_ratio=2, kernel_size=3)
        )
        logits = model(x)
        assert logits.shape == (2, 3)
        (logits * direction).sum().backward()
        for name, parameter in model.named_parameters():
            gradient = parameter.grad
            assert gradient is not None, (activation, name)
            assert gradient.isfinite().all(), (activation, name)
            assert gradient.abs().max() > 0, (activation, name)
        with torch.no_grad():
            again = model.to(memory_format=torch.channels_last)(
                x.to(memory_format=torch.channels_last)
            )
            with torch.autocast("cpu", torch.bfloat16):
                rough = model(x)
        torch.testing.assert_close(again, logits, rtol=1e-4, atol=1e-4)
        assert (rough.float() - logits).norm() < 0.1 * logits.norm(), activation


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("resolution", [1, 2, 3, 8, 17])
def test_any_size_from_one_pixel(stem: str, resolution: int) -> None:
    """No image is too small for five halvings: n pixels become ceil(n/2), never none."""
    candidate = tiny(
        Gate(product="pool"),
        stem=stem,
        widths=(4, 4, 4, 4),
        depths=(1,) * 4,
        mlp_ratio=2,
        kernel_size=3,
    )
    model = network(candidate)
    side = resolution
    for _ in range(5 if stem == "imagenet" else 4):
        side = -(-side // 2)
    assert model.forward_features(images(1, 3, resolution, resolution)).shape[-2:] == (side, side)


def test_gate_is_kept_to_its_stages() -> None:
    """A gate restricted to one stage leaves the others without its tensors."""
    names = network(tiny(Gate(product="fc", stages=(1,)))).state_dict()
    assert {name.split(".")[1] for name in names if ".f2." in name} == {"1"}


def test_hidden_width_is_rounded_down() -> None:
    """The expanded tensor has int(ratio * width) channels."""
    model = network(tiny(widths=(5, 7), mlp_ratio=(1.5, 2.3)))
    assert model.stages[0][1].f1.conv.out_channels == 7
    assert model.stages[1][1].f1.conv.out_channels == 16


def test_drop_path_is_linear_over_all_blocks() -> None:
    """Stochastic depth rises from 0 to its rate over the blocks and is off in eval mode."""
    model = network(tiny(depths=(2, 3), drop_path_rate=0.4))
    rates = [
        getattr(block.drop_path, "drop_prob", 0.0) for stage in model.stages for block in stage[1:]
    ]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    x = images(4, 3, 8, 8)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


def test_stem_is_relu6_whatever_the_gate() -> None:
    """The stem keeps the release's ReLU6, stride 2 for imagenet and 1 for cifar."""
    for stem, stride in (("imagenet", 2), ("cifar", 1)):
        stem_of = network(tiny(Gate(activation="gelu"), stem=stem)).stem
        assert isinstance(stem_of[1], nn.ReLU6)
        assert stem_of[0].conv.stride == (stride, stride)
