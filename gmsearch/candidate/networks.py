"""Candidates: complete architectures as plain data, canonical from their construction on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from gmsearch.candidate.canonical import digest, plain
from gmsearch.candidate.checks import assign, build, is_int, is_number, one_of, require
from gmsearch.errors import FieldError

Product = Literal["none", "self", "ln", "dw", "fc", "split", "pool"]
Activation = Literal[
    "identity",
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "silu",
    "hardswish",
    "sigmoid",
    "tanh",
    "softplus",
    "mish",
    "squared_relu",
]
Placement = Literal["input", "expand", "output"]
PRODUCTS: tuple[str, ...] = get_args(Product)
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
PLACEMENTS: tuple[str, ...] = get_args(Placement)

# A gate of a tensor with itself is an activation: these two have names of their own.
_SELF_AS_ACTIVATION = {"sigmoid": "silu", "relu": "squared_relu"}
_KERNEL_PRODUCTS = ("dw", "pool")
_GATE_KERNEL = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """The gate h -> activation(h) * second(h) of every block; `product` names `second`."""

    product: Product = "self"
    """Second factor: none 1, self h, ln LayerNorm, dw depthwise conv, fc 1x1 conv, split a second
    expansion of the block's input, pool average pooling."""

    activation: Activation = "relu6"
    """First factor; also the plain activation where a block has no product."""

    placement: tuple[Placement, ...] = ("expand",)
    """Where in the block: input (after the first depthwise), expand (on the expanded tensor),
    output (before the second depthwise)."""

    stages: Literal["all"] | tuple[int, ...] = "all"
    """The stages that are gated, from 0; the others take the plain activation."""

    kernel_size: int = _GATE_KERNEL
    """Kernel of the second factor of `dw` and `pool`, odd."""

    def __post_init__(self) -> None:
        """Check the values and bring them to canonical form, as far as one gate alone can."""
        one_of(self.product, PRODUCTS, "product")
        one_of(self.activation, ACTIVATIONS, "activation")
        placement = (self.placement,) if isinstance(self.placement, str) else self.placement
        require(len(placement) > 0, "placement", "is empty; name at least one place")
        for place in placement:
            one_of(place, PLACEMENTS, "placement")
        require(
            is_int(self.kernel_size) and self.kernel_size > 0 and self.kernel_size % 2 == 1,
            "kernel_size",
            f"{self.kernel_size!r} is not a positive odd integer",
        )
        stages = self.stages
        if stages != "all":
            require(
                isinstance(stages, (tuple, list)) and all(is_int(s) and s >= 0 for s in stages),
                "stages",
                f"{stages!r} is neither 'all' nor a list of stage indices from 0",
            )
            stages = tuple(sorted(set(stages)))
        product = "none" if stages == () else self.product
        if product == "none":
            placement, stages = ("expand",), "all"
        assign(
            self,
            product=product,
            placement=tuple(p for p in PLACEMENTS if p in placement),
            stages=stages,
            kernel_size=self.kernel_size if product in _KERNEL_PRODUCTS else _GATE_KERNEL,
        )

    def product_in(self, stage: int) -> Product:
        """Return the product of the blocks of one stage; `none` where the gate is kept out."""
        return self.product if self.stages == "all" or stage in self.stages else "none"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GmNet:
    """One GmNet (arXiv 2503.22841): widths, depths, kernels and ratios per stage, and its gate."""

    family: Literal["gmnet"] = "gmnet"

    widths: tuple[int, ...]
    """Channels per stage; its length is the number of stages."""

    depths: tuple[int, ...]
    """Blocks per stage, at least one each."""

    mlp_ratio: tuple[float, ...] = (4.0,)
    """Expansion of the 1x1 convolutions; one number, or one per stage."""

    kernel_size: tuple[int, ...] = (7,)
    """Kernel of the two depthwise convolutions; one odd integer, or one per stage."""

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """Stride of the stem: imagenet 2 (as released), cifar 1."""

    stem_width: int = 32
    gate: Gate = dataclasses.field(default_factory=Gate)

    layer_scale: float | None = 1e-6
    """Start of the per-channel scale of every block, as released; none for no scale."""

    drop_path_rate: float = 0.0
    """Stochastic depth, linear from 0 to this over the blocks."""

    init: Literal["release", "timm"] = "release"
    """release: PyTorch's default for convolutions; timm: truncated normal of sd 0.02."""

    gain: Literal["none", "unit_variance"] = "none"
    """unit_variance scales the gate's output to the variance of its input for a standard normal
    input, so that arms start alike."""

    def __post_init__(self) -> None:
        """Check the values against each other and bring them to canonical form."""
        require(self.family == "gmnet", "family", f"{self.family!r} is not 'gmnet'")
        widths, depths = _tuple(self.widths), _tuple(self.depths)
        for name, values in (("widths", widths), ("depths", depths)):
            require(len(values) > 0, name, "is empty; give one integer per stage")
            require(
                all(is_int(v) and v > 0 for v in values),
                name,
                f"{list(values)} are not all positive integers",
            )
        require(
            len(widths) == len(depths),
            "depths",
            f"has {len(depths)} stages where widths has {len(widths)}; give one per stage",
        )
        n = len(widths)
        ratios = _per_stage(self.mlp_ratio, n, "mlp_ratio")
        for ratio, width in zip(ratios, widths, strict=True):
            require(
                is_number(ratio) and int(ratio * width) >= 1,
                "mlp_ratio",
                f"{ratio!r} times width {width} leaves no channel",
            )
        kernels = _per_stage(self.kernel_size, n, "kernel_size")
        require(
            all(is_int(k) and k > 0 and k % 2 == 1 for k in kernels),
            "kernel_size",
            f"{list(kernels)} are not all positive odd integers",
        )
        one_of(self.stem, ("imagenet", "cifar"), "stem")
        require(
            is_int(self.stem_width) and self.stem_width > 0,
            "stem_width",
            f"{self.stem_width!r} is not a positive integer",
        )
        require(
            self.layer_scale is None or (is_number(self.layer_scale) and self.layer_scale > 0),
            "layer_scale",
            f"{self.layer_scale!r} is neither a positive number nor none",
        )
        require(
            is_number(self.drop_path_rate) and 0 <= self.drop_path_rate < 1,
            "drop_path_rate",
            f"{self.drop_path_rate!r} is not in [0, 1)",
        )
        one_of(self.init, ("release", "timm"), "init")
        one_of(self.gain, ("none", "unit_variance"), "gain")
        assign(
            self,
            widths=widths,
            depths=depths,
            mlp_ratio=tuple(float(r) for r in ratios),
            kernel_size=kernels,
            gate=_canonical_gate(self.gate, n),
            layer_scale=None if self.layer_scale is None else float(self.layer_scale),
            drop_path_rate=float(self.drop_path_rate),
        )

    def hidden_width(self, stage: int) -> int:
        """Return the channels of the expanded tensor in the blocks of one stage."""
        return int(self.mlp_ratio[stage] * self.widths[stage])

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return digest(plain(self))


def _tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (list, tuple)) else (values,)


def _per_stage(values: Any, n_stages: int, path: str) -> tuple[Any, ...]:
    given = _tuple(values)
    if len(given) == 1:
        given *= n_stages
    require(
        len(given) == n_stages,
        path,
        f"has {len(given)} values for {n_stages} stages; give one, or one per stage",
    )
    return given


def _canonical_gate(gate: Gate, n_stages: int) -> Gate:
    """Return the gate with what only the whole network can make one: stages and self gates."""
    if gate.stages != "all":
        outside = [s for s in gate.stages if s >= n_stages]
        require(
            not outside,
            "gate.stages",
            f"{outside} are beyond the last stage, {n_stages - 1}",
        )
        if gate.stages == tuple(range(n_stages)):
            gate = dataclasses.replace(gate, stages="all")
    everywhere = gate.placement == ("expand",) and gate.stages == "all"
    if gate.product == "self" and everywhere and gate.activation in _SELF_AS_ACTIVATION:
        activation: Any = _SELF_AS_ACTIVATION[gate.activation]
        gate = Gate(product="none", activation=activation)
    return gate


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimmModel:
    """Any model of timm by name, so that a front can show what people would pick instead."""

    family: Literal["timm"] = "timm"
    name: str
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        """Check the types; whether timm has the name is known only where timm is loaded."""
        require(self.family == "timm", "family", f"{self.family!r} is not 'timm'")
        require(isinstance(self.name, str) and self.name != "", "name", "is empty")
        require(
            is_number(self.drop_path_rate) and 0 <= self.drop_path_rate < 1,
            "drop_path_rate",
            f"{self.drop_path_rate!r} is not in [0, 1)",
        )
        assign(self, drop_path_rate=float(self.drop_path_rate))

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return digest(plain(self))


Candidate = GmNet | TimmModel
FAMILIES: dict[str, type[GmNet | TimmModel]] = {"gmnet": GmNet, "timm": TimmModel}

# gmnet_s3 is the official release; the others are inferred: they match the published parameters
# and FLOPs after rounding, as other choices would too (the paper's configurations are not public).
PRESETS: dict[str, dict[str, Any]] = {
    "gmnet_s1": {"widths": (40, 80, 160, 320), "depths": (2, 2, 8, 2), "mlp_ratio": 3},
    "gmnet_s2": {"widths": (48, 96, 192, 384), "depths": (2, 2, 8, 3), "mlp_ratio": 3},
    "gmnet_s3": {"widths": (48, 96, 192, 384), "depths": (3, 3, 8, 3), "mlp_ratio": 4},
    "gmnet_s4": {"widths": (72, 144, 288, 576), "depths": (3, 3, 8, 3), "mlp_ratio": 4},
}


def candidate_from(tree: Mapping[str, Any]) -> Candidate:
    """Build a candidate from plain data, as `plain` returns it or as a space file's model says.

    `preset` names a row of PRESETS whose values stand where the tree gives none.

    Raises:
        FieldError: for an unknown family, preset or key, or a value that cannot be.
    """
    tree = dict(tree)
    family = tree.pop("family", "gmnet")
    one_of(family, tuple(FAMILIES), "family")
    if family == "gmnet":
        preset = tree.pop("preset", None)
        if preset is not None:
            one_of(preset, tuple(PRESETS), "preset")
            tree = {**PRESETS[preset], **tree}
        gate = tree.get("gate", {})
        try:
            tree["gate"] = gate if isinstance(gate, Gate) else build(Gate, gate)
        except FieldError as error:
            raise FieldError(f"gate.{error.path}", error.message) from None
    built: Candidate = build(FAMILIES[family], tree)
    return built
