"""Recipes, and arms: a candidate with its recipe."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.checks import is_int, is_number, one_of
from gmsearch.limits import assign, build, require
from gmsearch.plain import plain

_CROP_SCALE = (0.08, 1.0)
_STRENGTHS = ("color_jitter", "mixup", "cutmix")
_POLICY = r"(rand|augmix|original|originalr|v0|v0r|3a)(-[a-z]+[0-9.]*)*"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Training hyper-parameters. Everything but `checkpoint_every` changes the weights."""

    epochs: int = 10
    """Of the schedule, warm-up included."""
    cooldown_epochs: int = 0
    """More epochs, at the smallest rate; a constant schedule has none."""
    batch_size: int = 128
    micro_batch: int | None = None
    """Images of one forward pass, where a batch is taken in several and its gradients summed; none
    for the whole batch, which is halved as often as memory asks."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 3e-3
    """Peak learning rate, for the batch size given; not scaled."""
    weight_decay: float = 0.05
    """Applied to tensors of two dimensions and more (timm's convention)."""
    momentum: float = 0.9
    """Of sgd (Nesterov)."""
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    """Linear from `warmup_lr`."""
    warmup_lr: float = 0.0
    min_lr: float = 0.0
    label_smoothing: float = 0.0
    clip_grad: float | None = None
    """Largest global norm of the gradient; none for no limit."""
    ema: float | None = None
    """Decay of the average of the weights that is evaluated; none for the last weights."""
    augment: Literal["none", "flip", "crop_flip", "random_resized_crop"] = "crop_flip"
    """crop_flip: reflect-pad by an eighth of the side, crop back, flip left-right;
    random_resized_crop: timm's, with a flip."""
    crop_scale: tuple[float, float] = _CROP_SCALE
    """Smallest and largest share of the image's area in a random_resized_crop."""
    color_jitter: float = 0.0
    """Largest relative change of brightness, contrast and saturation, one after the other."""
    auto_augment: str | None = None
    """A policy as timm writes them, such as rand-m9-mstd0.5-inc1, in place of color_jitter; of
    streamed images only."""
    random_erasing: float = 0.0
    """Probability that a rectangle of an image is replaced by noise (timm's pixel mode)."""
    mixup: float = 0.0
    """Alpha of the beta distribution that two images of a batch are mixed by; 0 for none. With
    cutmix, each batch has one of the two, by a fair draw."""
    cutmix: float = 0.0
    """Alpha of the beta distribution of the area that is taken from another image."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the training forwards (autocast): bfloat16 on a GPU and float32 on a CPU, where it is
    auto; weights and evaluation are float32."""
    compile: Literal["none", "default", "reduce-overhead"] = "none"
    """torch.compile's mode; reduce-overhead records CUDA graphs."""
    checkpoint_every: int = 0
    """Epochs between the checkpoints an interrupted trial continues from; 0 for none."""

    def __post_init__(self) -> None:
        """Check every value on its own and against the others."""
        for name, words in _WORDS.items():
            one_of(getattr(self, name), words, name)
        self._check_numbers()
        require(
            self.auto_augment is None
            or (
                isinstance(self.auto_augment, str)
                and bool(re.fullmatch(_POLICY, self.auto_augment))
            ),
            "auto_augment",
            f"{self.auto_augment!r} is not a policy of timm, such as rand-m9-mstd0.5-inc1",
        )
        require(
            self.warmup_epochs <= self.epochs,
            "warmup_epochs",
            f"{self.warmup_epochs} are more than the {self.epochs} epochs",
        )
        self._canonicalise()

    def _check_numbers(self) -> None:
        for name in ("epochs", "batch_size", "micro_batch"):
            value = getattr(self, name)
            given = value is not None or name != "micro_batch"
            require(
                not given or (is_int(value) and value > 0),
                name,
                f"{value!r} is not a positive integer",
            )
        for name in ("cooldown_epochs", "checkpoint_every"):
            value = getattr(self, name)
            require(is_int(value) and value >= 0, name, f"{value!r} is not an integer from 0")
        for name in ("lr", "clip_grad"):
            value = getattr(self, name)
            given = value is not None or name != "clip_grad"
            require(
                not given or (is_number(value) and value > 0),
                name,
                f"{value!r} is not a positive number",
            )
        for name in ("weight_decay", "warmup_epochs", "warmup_lr", "min_lr", *_STRENGTHS):
            value = getattr(self, name)
            require(is_number(value) and value >= 0, name, f"{value!r} is not a number from 0")
        for name in ("momentum", "label_smoothing", "ema"):
            value = getattr(self, name)
            given = value is not None or name != "ema"
            require(
                not given or (is_number(value) and 0 <= value < 1),
                name,
                f"{value!r} is not in [0, 1)",
            )
        require(
            is_number(self.random_erasing) and 0 <= self.random_erasing <= 1,
            "random_erasing",
            f"{self.random_erasing!r} is not a probability",
        )
        scale = self.crop_scale
        require(
            isinstance(scale, tuple)
            and len(scale) == 2
            and all(map(is_number, scale))
            and 0 < scale[0] <= scale[1] <= 1,
            "crop_scale",
            f"{plain(scale)!r} is not a range of shares of the area, such as [0.08, 1]",
        )

    def _canonicalise(self) -> None:
        """Set what does nothing to its default, so that it makes no other arm."""
        if self.optimizer != "sgd":
            assign(self, momentum=0.9)
        if self.schedule == "constant":
            assign(self, min_lr=0.0, cooldown_epochs=0)
        if self.warmup_epochs == 0:
            assign(self, warmup_lr=0.0)
        if self.augment != "random_resized_crop":
            assign(self, crop_scale=_CROP_SCALE)
        if self.auto_augment is not None:
            assign(self, color_jitter=0.0)
        if self.micro_batch is not None and self.micro_batch >= self.batch_size:
            assign(self, micro_batch=None)
        assign(self, crop_scale=tuple(map(float, self.crop_scale)))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if str(field.type).startswith("float") and value is not None:
                assign(self, **{field.name: float(value)})

    @property
    def total_epochs(self) -> int:
        """The epochs of the schedule and of the cool-down."""
        return self.epochs + self.cooldown_epochs

    def dtype_on(self, device: str) -> str:
        """Return the dtype of the training forwards on a device such as `cpu` or `cuda:0`."""
        if self.dtype != "auto":
            return self.dtype
        return "float32" if device.startswith("cpu") else "bfloat16"


_WORDS = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "constant"),
    "augment": ("none", "flip", "crop_flip", "random_resized_crop"),
    "dtype": ("auto", "float32", "bfloat16"),
    "compile": ("none", "default", "reduce-overhead"),
}

RECIPES: dict[str, dict[str, Any]] = {
    # The official command of GmNet on ImageNet-1k (8 GPUs of 256 images), which is StarNet-S1's.
    "gmnet_imagenet": {
        "epochs": 300,
        "cooldown_epochs": 10,
        "batch_size": 2048,
        "optimizer": "adamw",
        "lr": 3e-3,
        "weight_decay": 0.05,
        "schedule": "cosine",
        "warmup_epochs": 5,
        "warmup_lr": 1e-6,
        "min_lr": 1e-5,
        "label_smoothing": 0.1,
        "augment": "random_resized_crop",
        "auto_augment": "rand-m1-mstd0.5-inc1",
        "random_erasing": 0.25,
        "mixup": 0.8,
        "cutmix": 0.2,
        "dtype": "float32",
    },
}
"""Recipes by name; in a space file `train: {recipe: NAME, …}`."""


def recipe_from(tree: Mapping[str, Any]) -> Recipe:
    """Build a recipe from plain data; raises FieldError like `candidate_from`.

    `recipe` names a row of RECIPES whose values stand where the tree gives none.
    """
    name = tree.get("recipe")
    given = {key: value for key, value in tree.items() if key != "recipe"}
    if name is not None:
        one_of(name, tuple(RECIPES), "recipe")
        given = {**RECIPES[name], **given}
    recipe: Recipe = build(Recipe, given)
    return recipe
