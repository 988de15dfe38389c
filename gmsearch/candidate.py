"""Candidate, recipe, arm, data and bands as frozen plain data with digests.

A candidate is complete plain data, never a torch module. Constructing one checks it and brings
it to its canonical form: defaults written out, equal spellings made one, parameters that touch
no block set to their default. Equal canonical forms have equal digests.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

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


def canonical_json(value: object) -> str:
    """Return the one JSON spelling of plain data: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """Return dataclasses as dicts and tuples as lists, ready for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def difference(one: object, other: object) -> dict[str, tuple[Any, Any]]:
    """Return the leaves in which two candidates, recipes or arms differ, by dotted path.

    A list is a leaf. A leaf that only one side has stands beside None.
    """
    left, right = _leaves(plain(one)), _leaves(plain(other))
    return {
        path: (left.get(path), right.get(path))
        for path in [*left, *(p for p in right if p not in left)]
        if left.get(path) != right.get(path)
    }


def _leaves(tree: object, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def _require(condition: bool, path: str, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise FieldError(path, message)


def _one_of(value: object, names: Sequence[str], path: str) -> None:
    _require(value in names, path, f"{value!r} is not one of {', '.join(names)}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


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
        _one_of(self.product, PRODUCTS, "product")
        _one_of(self.activation, ACTIVATIONS, "activation")
        placement = (self.placement,) if isinstance(self.placement, str) else self.placement
        _require(len(placement) > 0, "placement", "is empty; name at least one place")
        for place in placement:
            _one_of(place, PLACEMENTS, "placement")
        _require(
            _is_int(self.kernel_size) and self.kernel_size > 0 and self.kernel_size % 2 == 1,
            "kernel_size",
            f"{self.kernel_size!r} is not a positive odd integer",
        )
        stages = self.stages
        if stages != "all":
            _require(
                isinstance(stages, (tuple, list)) and all(_is_int(s) and s >= 0 for s in stages),
                "stages",
                f"{stages!r} is neither 'all' nor a list of stage indices from 0",
            )
            stages = tuple(sorted(set(stages)))
        product = "none" if stages == () else self.product
        if product == "none":
            placement, stages = ("expand",), "all"
        _set(
            self,
            product=product,
            placement=tuple(p for p in PLACEMENTS if p in placement),
            stages=stages,
            kernel_size=self.kernel_size if product in _KERNEL_PRODUCTS else _GATE_KERNEL,
        )

    def product_in(self, stage: int) -> Product:
        """Return the product of the blocks of one stage; `none` where the gate is kept out."""
        return self.product if self.stages == "all" or stage in self.stages else "none"


def _set(frozen: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


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
        _require(self.family == "gmnet", "family", f"{self.family!r} is not 'gmnet'")
        widths, depths = _tuple(self.widths), _tuple(self.depths)
        for name, values in (("widths", widths), ("depths", depths)):
            _require(len(values) > 0, name, "is empty; give one integer per stage")
            _require(
                all(_is_int(v) and v > 0 for v in values),
                name,
                f"{list(values)} are not all positive integers",
            )
        _require(
            len(widths) == len(depths),
            "depths",
            f"has {len(depths)} stages where widths has {len(widths)}; give one per stage",
        )
        n = len(widths)
        ratios = _per_stage(self.mlp_ratio, n, "mlp_ratio")
        for ratio, width in zip(ratios, widths, strict=True):
            _require(
                _is_number(ratio) and int(ratio * width) >= 1,
                "mlp_ratio",
                f"{ratio!r} times width {width} leaves no channel",
            )
        kernels = _per_stage(self.kernel_size, n, "kernel_size")
        _require(
            all(_is_int(k) and k > 0 and k % 2 == 1 for k in kernels),
            "kernel_size",
            f"{list(kernels)} are not all positive odd integers",
        )
        _one_of(self.stem, ("imagenet", "cifar"), "stem")
        _require(
            _is_int(self.stem_width) and self.stem_width > 0,
            "stem_width",
            f"{self.stem_width!r} is not a positive integer",
        )
        _require(
            self.layer_scale is None or (_is_number(self.layer_scale) and self.layer_scale > 0),
            "layer_scale",
            f"{self.layer_scale!r} is neither a positive number nor none",
        )
        _require(
            _is_number(self.drop_path_rate) and 0 <= self.drop_path_rate < 1,
            "drop_path_rate",
            f"{self.drop_path_rate!r} is not in [0, 1)",
        )
        _one_of(self.init, ("release", "timm"), "init")
        _one_of(self.gain, ("none", "unit_variance"), "gain")
        _set(
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
    _require(
        len(given) == n_stages,
        path,
        f"has {len(given)} values for {n_stages} stages; give one, or one per stage",
    )
    return given


def _canonical_gate(gate: Gate, n_stages: int) -> Gate:
    """Return the gate with what only the whole network can make one: stages and self gates."""
    if gate.stages != "all":
        outside = [s for s in gate.stages if s >= n_stages]
        _require(
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
        _require(self.family == "timm", "family", f"{self.family!r} is not 'timm'")
        _require(isinstance(self.name, str) and self.name != "", "name", "is empty")
        _require(
            _is_number(self.drop_path_rate) and 0 <= self.drop_path_rate < 1,
            "drop_path_rate",
            f"{self.drop_path_rate!r} is not in [0, 1)",
        )
        _set(self, drop_path_rate=float(self.drop_path_rate))

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
    _one_of(family, tuple(FAMILIES), "family")
    if family == "gmnet":
        preset = tree.pop("preset", None)
        if preset is not None:
            _one_of(preset, tuple(PRESETS), "preset")
            tree = {**PRESETS[preset], **tree}
        gate = tree.get("gate", {})
        try:
            tree["gate"] = gate if isinstance(gate, Gate) else _build(Gate, gate)
        except FieldError as error:
            raise FieldError(f"gate.{error.path}", error.message) from None
    built: Candidate = _build(FAMILIES[family], tree)
    return built


def _build(cls: type[Any], tree: Mapping[str, Any]) -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in tree:
        _require(key in fields, key, f"is not a field of {cls.__name__}")
    for name, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        _require(name in tree or not needed, name, "is missing")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Training hyper-parameters. Everything here changes the trained weights."""

    epochs: int = 10
    batch_size: int = 128
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 3e-3
    """Peak learning rate, for the batch size given; not scaled."""
    weight_decay: float = 0.05
    """Applied to tensors of two dimensions and more (timm's convention)."""
    momentum: float = 0.9
    """Of sgd (Nesterov)."""
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    """Linear from zero."""
    min_lr: float = 0.0
    label_smoothing: float = 0.0
    clip_grad: float | None = None
    """Largest global norm of the gradient; none for no limit."""
    ema: float | None = None
    """Decay of the average of the weights that is evaluated; none for the last weights."""
    augment: Literal["none", "flip", "crop_flip"] = "crop_flip"
    """crop_flip: reflect-pad by an eighth of the side, crop back, flip left-right."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the training forwards (autocast); weights and evaluation are float32."""

    def __post_init__(self) -> None:
        """Check every value on its own and against the others."""
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            _require(_is_int(value) and value > 0, name, f"{value!r} is not a positive integer")
        _one_of(self.optimizer, ("adamw", "sgd"), "optimizer")
        _one_of(self.schedule, ("cosine", "constant"), "schedule")
        _one_of(self.augment, ("none", "flip", "crop_flip"), "augment")
        _one_of(self.dtype, ("float32", "bfloat16"), "dtype")
        for name in ("lr", "clip_grad"):
            value = getattr(self, name)
            if value is None and name == "clip_grad":
                continue
            _require(_is_number(value) and value > 0, name, f"{value!r} is not a positive number")
        for name in ("weight_decay", "warmup_epochs", "min_lr"):
            value = getattr(self, name)
            _require(_is_number(value) and value >= 0, name, f"{value!r} is not a number from 0")
        for name in ("momentum", "label_smoothing", "ema"):
            value = getattr(self, name)
            if value is None and name == "ema":
                continue
            _require(_is_number(value) and 0 <= value < 1, name, f"{value!r} is not in [0, 1)")
        _require(
            self.warmup_epochs <= self.epochs,
            "warmup_epochs",
            f"{self.warmup_epochs} are more than the {self.epochs} epochs",
        )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if str(field.type).startswith("float") and value is not None:
                _set(self, **{field.name: float(value)})


def recipe_from(tree: Mapping[str, Any]) -> Recipe:
    """Build a recipe from plain data; raises FieldError like `candidate_from`."""
    recipe: Recipe = _build(Recipe, tree)
    return recipe


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One candidate with its recipe; seeds are its repeats."""

    candidate: Candidate
    recipe: Recipe

    @property
    def digest(self) -> str:
        """The hash of candidate and recipe."""
        return digest(plain(self))


def arm_from(tree: Mapping[str, Any]) -> Arm:
    """Build an arm from what `plain` returned for one."""
    return Arm(candidate=candidate_from(tree["candidate"]), recipe=recipe_from(tree["recipe"]))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spectral:
    """The generated data set whose class lies partly in low, partly in high frequencies.

    Synthetic: its numbers say something about bands, nothing about photographs.
    """

    name: Literal["spectral"] = "spectral"
    resolution: int = 32
    """Height and width in pixels."""
    classes: int = 10
    train_images: int = 4096
    evaluation_images: int = 1024
    high_share: float = 0.5
    """Share of the class information that lies in the texture, above the radius of the split."""
    seed: int = 0
    """Of the generator; part of the data's identity, not of a trial's seed."""
    holdout: float = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A labelled image set on disk, small enough to live in memory as uint8."""

    name: Literal["parquet", "folder", "cifar10", "cifar100"]
    root: str
    """Absolute path of the folder."""
    resolution: int | None = None
    """Images are resized (shorter side, antialiased bicubic) and centre-cropped to this side;
    none demands that all are square and of one size."""
    holdout: float = 0.1
    """Share of the training split that selection sees; stratified, fixed by the identity."""


DataSpec = Spectral | Stored


def data_from(tree: Mapping[str, Any]) -> DataSpec:
    """Build a data spec from what `plain` returned for one."""
    spec: DataSpec = _build(Spectral if tree["name"] == "spectral" else Stored, tree)
    return spec


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """Which spatial frequencies are measured, and how band images are made (design section 7)."""

    radii: tuple[float, ...] = ()
    """In bins of the image's DFT; low keeps d < r, high the rest."""
    ranges: tuple[tuple[float, float], ...] = ()
    """Bands a <= d < b."""
    edge: Literal["lt", "le"] = "lt"
    """Whether a bin at distance r exactly is high (lt) or low (le)."""
    rescale: Literal["none", "max"] = "none"
    """max divides each band image by its own maximum (the origin's code)."""
    dc: Literal["dataset_mean", "drop", "image_mean"] = "dataset_mean"
    """What high-pass and band images get in place of their lost mean."""
    boundary: Literal["periodic", "mirror"] = "periodic"
    every: int = 1
    """Epochs between two points of the band curves; 0 for none."""
    curves: Literal["holdout", "evaluation"] = "holdout"
    """The split the per-epoch curves are measured on."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the band metrics, in the order they are shown."""
        sides = [f"{side}@{radius:g}" for radius in self.radii for side in ("low", "high")]
        return (*sides, *(f"band@{low:g}:{high:g}" for low, high in self.ranges))


def bands_from(tree: Mapping[str, Any]) -> Bands:
    """Build bands from what `plain` returned for them."""
    tree = dict(tree)
    tree["ranges"] = tuple((low, high) for low, high in tree.get("ranges", ()))
    bands: Bands = _build(Bands, tree)
    return bands
