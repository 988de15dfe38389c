"""Networks as they are deployed: branches re-parameterised, batch norms folded."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.utils.model import reparameterize_model
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Types that use their weight unchanged; a subclass may standardise or mix weights first.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)


def deployed(model: nn.Module, image: Tensor) -> tuple[nn.Module, int]:
    """Return a copy for inference in eval mode, and how many batch norms were removed.

    Networks of timm that train with parallel branches are re-parameterised to one, as their
    authors time them; then batch norms are folded, see `fold_batch_norm`.

    Args:
        model: a network on the CPU; not modified.
        image: float32 (N, C, H, W), an input of the model.
    """
    inference = reparameterize_model(copy.deepcopy(model).eval(), inplace=True)
    fold_batch_norm(inference, image)
    return inference, _batch_norms(model) - _batch_norms(inference)


def fold_batch_norm(model: nn.Module, image: Tensor) -> int:
    """Fold, in place, each batch norm into the convolution whose output it reads.

    Which module reads which output is observed by running the model once, independently of module
    names. A batch norm is kept where its convolution's output has another reader, where either
    runs more than once, or where there is nothing to fold: no convolution before it, or no
    running statistics.

    Args:
        model: a network in eval mode; its outputs do not change.
        image: float32 (N, C, H, W), an input of the model.

    Returns:
        The number of folded batch norms.
    """
    pairs = _pairs(model, image)
    names = {module: name for name, module in model.named_modules()}
    for conv, norm in pairs:
        model.set_submodule(names[conv], fuse_conv_bn_eval(conv, norm))
        rest = norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity()
        model.set_submodule(names[norm], rest)
    return len(pairs)


def _pairs(model: nn.Module, image: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return pairs of a convolution and the batch norm that alone reads its output."""
    written: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[int, nn.Conv2d, nn.BatchNorm2d]] = []
    runs: Counter[nn.Module] = Counter()

    def after(conv: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        runs[conv] += 1
        # Kept alive so that no later tensor takes its id; resets the count of an earlier tensor.
        written[id(output)] = conv, output
        readers.count[id(output)] = 0

    def before(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        runs[norm] += 1
        if id(inputs[0]) in written:
            pairs.append((id(inputs[0]), written[id(inputs[0])][0], norm))

    readers = _Readers()
    hooks = [m.register_forward_hook(after) for m in model.modules() if type(m) in _CONVOLUTIONS]
    hooks += [m.register_forward_pre_hook(before) for m in model.modules() if _foldable(m)]
    try:
        with torch.no_grad(), readers:
            outputs = model(image)
    finally:
        for hook in hooks:
            hook.remove()
    readers.count.update(id(leaf) for leaf in tree_leaves(outputs))
    return [
        (conv, norm)
        for key, conv, norm in pairs
        if runs[conv] == runs[norm] == 1 and readers.count[key] == 1
    ]


class _Readers(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Counts how many operators read each tensor, by its id."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.count: Counter[int] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        leaves = tree_leaves((args, kwargs))
        self.count.update(id(leaf) for leaf in leaves if isinstance(leaf, Tensor))
        return func(*args, **(kwargs or {}))


def _foldable(module: nn.Module) -> bool:
    return type(module) in _NORMS and getattr(module, "running_mean", None) is not None


def _batch_norms(model: nn.Module) -> int:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return sum(isinstance(module, kinds) for module in model.modules())


def relocate(model: nn.Module) -> None:
    """Move every parameter and buffer to another address in memory, keeping values and strides."""
    tensors = list(itertools.chain(model.parameters(), model.buffers()))
    fresh = [tensor.detach().clone() for tensor in tensors]  # all at once: none reuses a place
    for tensor, moved in zip(tensors, fresh, strict=True):
        tensor.data = moved
