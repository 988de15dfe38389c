"""Recipe: the hyper-parameters of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from gmsearch.limits import (
    Limit,
    Natural,
    NonNegative,
    Positive,
    PositiveNumber,
    Probability,
    Share,
    Text,
    assign,
    broken,
    check,
    instance_from,
    normalise,
)
from gmsearch.tables import Table
from gmsearch.wording import spelled

_CROP_SCALE = (0.08, 1.0)
_Area = Annotated[float, Limit(gt=0, le=1)]
_Policy = Text(
    pattern=r"(rand|augmix|original|originalr|v0|v0r|3a)(-[a-z]+[0-9.]*)*",
    words="a policy in timm's notation, such as rand-m9-mstd0.5-inc1",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Training hyper-parameters. All but `checkpoint_every` change the weights."""

    epochs: Positive = 10
    """Length of the schedule, warm-up included."""
    cooldown_epochs: Natural = 0
    """Additional epochs at the smallest rate; ignored by a constant schedule."""
    batch_size: Positive = 128
    """Images per step of the optimizer."""
    micro_batch: Positive | None = None
    """Images per forward pass where a batch is split and its gradients summed; none for the whole
    batch, which is halved as often as memory requires."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """adamw: decoupled weight decay; sgd: with Nesterov momentum."""
    lr: PositiveNumber = 3e-3
    """Peak learning rate for the given batch size; not scaled."""
    weight_decay: NonNegative = 0.05
    """Applied to tensors of two or more dimensions (timm's convention)."""
    momentum: Share = 0.9
    """Nesterov momentum (sgd only)."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Of the learning rate, after the warm-up: cosine falls to `min_lr`, constant stays."""
    warmup_epochs: NonNegative = 0.0
    """Epochs of linear warm-up from `warmup_lr`."""
    warmup_lr: NonNegative = 0.0
    """Learning rate that the warm-up starts from."""
    min_lr: NonNegative = 0.0
    """Learning rate at the end of a cosine schedule."""
    label_smoothing: Share = 0.0
    """Share of the target that is spread evenly over all classes."""
    clip_grad: PositiveNumber | None = None
    """Largest global norm of the gradient; none for no limit."""
    ema: Share | None = None
    """Decay of the moving average of the weights that is evaluated; none for the last weights."""
    augment: Literal["none", "flip", "crop_flip", "random_resized_crop"] = "crop_flip"
    """crop_flip: reflect-pad by an eighth of the side, crop back, flip left-right;
    random_resized_crop: timm's, with a flip."""
    crop_scale: tuple[_Area, _Area] = _CROP_SCALE
    """Smallest and largest share of the image's area (random_resized_crop only)."""
    color_jitter: NonNegative = 0.0
    """Largest relative change of brightness, contrast and saturation, applied one after the
    other."""
    auto_augment: Annotated[str, _Policy] | None = None
    """Augmentation policy in timm's notation, such as rand-m9-mstd0.5-inc1; replaces color_jitter
    (streamed images only)."""
    random_erasing: Probability = 0.0
    """Probability that a rectangle of an image is replaced by noise (timm's pixel mode)."""
    mixup: NonNegative = 0.0
    """Alpha of the beta distribution by which two images of a batch are mixed; 0 for none. With
    cutmix, each batch gets one of the two, each with probability 1/2."""
    cutmix: NonNegative = 0.0
    """Alpha of the beta distribution of the area taken from another image; 0 for none."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the training forward passes (autocast); auto is bfloat16 on a GPU and float32
    on a CPU. Weights and evaluation are float32. Training in float32 on a GPU keeps PyTorch's
    defaults: TF32 in convolutions, true float32 in matrix products."""
    compile: Literal["none", "default", "reduce-overhead"] = "none"
    """Mode of torch.compile; reduce-overhead records CUDA graphs."""
    checkpoint_every: Natural = 0
    """Epochs between the checkpoints that an interrupted trial resumes from; 0 for none."""

    def __post_init__(self) -> None:
        """Check the limits, then bring the recipe to its canonical form."""
        normalise(self)
        wrong = broken(self)
        check(
            self,
            (
                bool(wrong & {"epochs", "warmup_epochs"}) or self.warmup_epochs <= self.epochs,
                "warmup_epochs",
                (
                    f"expected at most the {self.epochs} epochs of the schedule, got "
                    f"{spelled(self.warmup_epochs)}"
                ),
            ),
            (
                "crop_scale" in wrong or self.crop_scale[0] <= self.crop_scale[1],
                "crop_scale",
                f"{spelled(self.crop_scale)} is empty; swap the two shares",
            ),
        )
        self._canonicalise()

    def _canonicalise(self) -> None:
        """Reset fields without effect to their defaults, so that they do not make another arm."""
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

    @property
    def total_epochs(self) -> int:
        """Number of epochs of the schedule and the cool-down."""
        return self.epochs + self.cooldown_epochs

    def dtype_on(self, device: str) -> str:
        """Return the dtype of the training forward passes on a device such as `cuda:0`."""
        if self.dtype != "auto":
            return self.dtype
        return "float32" if device.startswith("cpu") else "bfloat16"


_RECIPES: dict[str, dict[str, Any]] = {
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
RECIPES: Table[dict[str, Any]] = Table("recipe", _RECIPES)
"""Recipes by name; in a space file `train: {recipe: NAME, …}`."""


def recipe_from(tree: Mapping[str, Any]) -> Recipe:
    """Build a recipe from plain data.

    `recipe` names a row of RECIPES; values of the tree override those of the row.

    Raises:
        FieldError: for unknown keys and for every value outside its limits.
    """
    name = tree.get("recipe")
    given = {key: value for key, value in tree.items() if key != "recipe"}
    if name is not None:
        given = {**RECIPES[name], **given}
    recipe: Recipe = instance_from(Recipe, given)
    return recipe
