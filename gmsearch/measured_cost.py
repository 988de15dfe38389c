"""Cost of any network by running it: fvcore's flops, and the element-wise work seen beside them.

The counter of timm models and the audit of `gmsearch.cost`; the convention is that module's.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gmsearch.cost import Cost
from gmsearch.errors import FieldError

# PyTorch tags its element-wise operators; it forgot these, the second until 2.11.
_UNTAGGED = {"hardswish", "leaky_relu"}
# Name of the operator in the dispatcher, and as traced.
_POOLS = {"avg_pool2d": "avg_pool2d", "max_pool2d_with_indices": "max_pool2d"}
# What moves data without computing: fvcore ignores its like, PyTorch tags the first element-wise.
_MOVES = {"clone", "expand_as", "pad", "reshape_as"}


def measured_cost(
    model: nn.Module, resolution: int, in_chans: int = 3
) -> tuple[Cost, dict[str, int]]:
    """Return the cost of `model` on one image, and how often each operator in no count was met.

    The model runs in eval mode on the CPU, its attention unfused so that fvcore sees the products
    in it. `flops` is fvcore's total; `elementwise_ops` counts each element an element-wise
    operator writes, and k^2 for each that a k x k pool writes, other than the global average
    pool, which fvcore has. Softmax, reductions and the like are in neither: they are named in
    the second answer, with the number of calls.

    Args:
        model: Left as it is; a copy is run.

        resolution: Height and width in pixels.

        in_chans: Channels of the image.

    Raises:
        FieldError: where the model does not take an image of this size.
    """
    model = _prepared(model)
    image = torch.zeros(1, in_chans, resolution, resolution)
    elementwise = _Elementwise()
    try:
        with torch.no_grad(), elementwise:
            model(image)
    except (AssertionError, RuntimeError, ValueError) as error:
        # What a network of timm raises for a size it was not made for.
        raise FieldError(
            "resolution", f"{type(model).__name__} does not take {resolution} pixels: {error}"
        ) from error
    flops, uncounted = _fvcore(model, image)
    counted = Cost(
        params=sum(p.numel() for p in model.parameters() if p.requires_grad),
        flops=flops,
        elementwise_ops=elementwise.ops,
        activation_elements=elementwise.elements,
    )
    return counted, {name: n for name, n in uncounted.items() if not _is_elementwise(name)}


class _Elementwise(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Counts the operations of, and the elements written by, element-wise operators and pools."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.ops = 0
        self.elements = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        written = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in _POOLS:
            pooled = written[0] if isinstance(written, tuple) else written
            kernel = args[1] if len(args[1]) == 2 else 2 * list(args[1])
            self.ops += pooled.numel() * kernel[0] * kernel[1]
            self.elements += pooled.numel()
        elif _is_pointwise(name):
            self.ops += written.numel()
            self.elements += written.numel()
        return written


def _prepared(model: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in eval mode, whose attention is not fused (timm's switch)."""
    model = copy.deepcopy(model).cpu().eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            setattr(module, "fused_attn", False)  # noqa: B010 - torch types it as a module
    return model


def _fvcore(model: nn.Module, image: torch.Tensor) -> tuple[int, dict[str, int]]:
    """Return fvcore's total and the operators it has no rule for, with their number."""
    with warnings.catch_warnings():
        # fvcore scripts and traces, which recent PyTorch deprecates on import and on use.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, (image,))
        analysis.unsupported_ops_warnings(enabled=False)
        analysis.uncalled_modules_warnings(enabled=False)
        return int(analysis.total()), dict(analysis.unsupported_ops())


def _is_elementwise(traced: str) -> bool:
    """Return whether a traced operator such as `aten::mul_` is in our count, or is none at all."""
    name = traced.removeprefix("aten::")
    return name in _MOVES or name in _POOLS.values() or _is_pointwise(name)


def _is_pointwise(name: str) -> bool:
    """Return whether an aten operator works element by element, in place or not."""
    base = name.removesuffix("_")
    if base in _UNTAGGED | _MOVES:
        return base in _UNTAGGED
    packet = getattr(torch.ops.aten, base, None)
    if packet is None:
        return False
    return any(torch.Tag.pointwise in getattr(packet, o).tags for o in packet.overloads())
