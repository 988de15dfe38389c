"""Base of our networks: timm's interface around features and one linear head."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import Tensor, nn


class Classifier(nn.Module, abc.ABC):
    """Features, pool, dropout, linear head.

    A family defines `forward_features`, `forward_head` and `steps`, and names its head.
    """

    head_name = "head"
    """Attribute of the linear layer, and so the name of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.num_features = 0
        # Channels, reduction and module of the maps that can be extracted, as timm expects them.
        self.feature_info: list[dict[str, Any]] = []
        self.grad_checkpointing = False

    @abc.abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (N, in_chans, H, W) to the last map (N, num_features, h, w)."""

    @abc.abstractmethod
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - timm's signature
        """Map features to logits (N, num_classes), or to the input of the head."""

    @abc.abstractmethod
    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the modules of `forward_features` in their order, by name."""

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_chans, H, W) to logits (N, num_classes)."""
        return self.forward_head(self.forward_features(x))

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def get_classifier(self, name_only: bool = False) -> nn.Module | str:  # noqa: FBT001, FBT002 - timm's signature
        """Return the head, or its name."""
        head: nn.Module = getattr(self, self.head_name)
        return self.head_name if name_only else head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the head by a new one for `num_classes`, 0 for none, and the pool if given."""
        if global_pool is not None:
            self.global_pool = SelectAdaptivePool2d(
                pool_type=global_pool, flatten=bool(global_pool)
            )
            self.global_pool.train(self.training)
        self.num_classes = num_classes
        self.head_hidden_size = self.num_features * self.global_pool.feat_mult()  # type: ignore[no-untyped-call] # timm's
        head: nn.Module = nn.Identity()
        if num_classes > 0:
            head = nn.Linear(self.head_hidden_size, num_classes)
            nn.init.trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
            head.to(next(self.parameters()).device)
        setattr(self, self.head_name, head.train(self.training))

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 - timm's signature
        """Recompute the blocks in the backward pass instead of storing their activations.

        Batch norms then see a batch twice, and update their running statistics twice.
        """
        self.grad_checkpointing = enable

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def forward_intermediates(  # noqa: PLR0917 - timm's signature
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,  # noqa: FBT001, FBT002 - timm's signature
        stop_early: bool = False,  # noqa: FBT001, FBT002 - timm's signature
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,  # noqa: FBT001, FBT002 - timm's signature
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the features and the maps at `indices` of `feature_info`, as timm's models do.

        Args:
            x: Images (N, in_chans, H, W).

            indices: Indices of the maps; an integer n for the last n, None for all.

            norm: Whether the last map is taken after the last norm, where a network has one.

            stop_early: Whether to stop at the last map asked for.

            output_fmt: Only NCHW is supported.

            intermediates_only: Whether to return the maps without the features.

        Raises:
            ValueError: for another `output_fmt`.
        """
        if output_fmt != "NCHW":
            message = f"output_fmt: expected 'NCHW', got {output_fmt!r}"
            raise ValueError(message)
        modules = [info["module"] for info in self.feature_info]
        if isinstance(indices, int):
            wanted = modules[-indices:]
        else:
            wanted = modules if indices is None else [modules[index] for index in indices]
        end = max(wanted, key=modules.index)
        maps: dict[str, Tensor] = {}
        for name, step in self.steps():
            if stop_early and end in maps and not (norm and name == "norm"):
                break
            x = step(x)
            if name in wanted:
                maps[name] = x
            elif norm and name == "norm" and end == modules[-1]:
                maps[end] = x
        intermediates = list(maps.values())
        return intermediates if intermediates_only else (x, intermediates)


# torch.fx writes them into its graphs, where TorchScript cannot resolve the names of types.
Classifier.forward.__annotations__.update({"x": Tensor, "return": Tensor})


def drop_path_rates(last: float, depths: Sequence[int]) -> Iterator[float]:
    """Yield the rate of stochastic depth of every block, linear from 0 to `last`."""
    yield from torch.linspace(0, last, sum(depths)).tolist()
