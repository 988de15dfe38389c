"""Recipes, and arms: a candidate with its recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.candidate.canonical import digest, plain
from gmsearch.candidate.checks import assign, build, is_int, is_number, one_of, require
from gmsearch.candidate.networks import Candidate, candidate_from


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
            require(is_int(value) and value > 0, name, f"{value!r} is not a positive integer")
        one_of(self.optimizer, ("adamw", "sgd"), "optimizer")
        one_of(self.schedule, ("cosine", "constant"), "schedule")
        one_of(self.augment, ("none", "flip", "crop_flip"), "augment")
        one_of(self.dtype, ("float32", "bfloat16"), "dtype")
        for name in ("lr", "clip_grad"):
            value = getattr(self, name)
            if value is None and name == "clip_grad":
                continue
            require(is_number(value) and value > 0, name, f"{value!r} is not a positive number")
        for name in ("weight_decay", "warmup_epochs", "min_lr"):
            value = getattr(self, name)
            require(is_number(value) and value >= 0, name, f"{value!r} is not a number from 0")
        for name in ("momentum", "label_smoothing", "ema"):
            value = getattr(self, name)
            if value is None and name == "ema":
                continue
            require(is_number(value) and 0 <= value < 1, name, f"{value!r} is not in [0, 1)")
        require(
            self.warmup_epochs <= self.epochs,
            "warmup_epochs",
            f"{self.warmup_epochs} are more than the {self.epochs} epochs",
        )
        self._canonicalise()

    def _canonicalise(self) -> None:
        """Set what does nothing to its default, so that it makes no other arm."""
        if self.optimizer != "sgd":
            assign(self, momentum=0.9)
        if self.schedule == "constant":
            assign(self, min_lr=0.0)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if str(field.type).startswith("float") and value is not None:
                assign(self, **{field.name: float(value)})


def recipe_from(tree: Mapping[str, Any]) -> Recipe:
    """Build a recipe from plain data; raises FieldError like `candidate_from`."""
    recipe: Recipe = build(Recipe, tree)
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
