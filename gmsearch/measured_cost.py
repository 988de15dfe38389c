"""Cost of any network by running it: fvcore's flops, and the element-wise work that it leaves out.

It counts models of timm and of plugins, and audits `gmsearch.networks.cost`, whose convention it
follows.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gmsearch.errors import FieldError
from gmsearch.networks.count import (
    NOTHING,
    Cost,
    Count,
    LayerKind,
    PartCost,
    conv_kind,
    cost_of,
)

# PyTorch tags its element-wise operators, but not these (the second one until 2.11).
_UNTAGGED = {"hardswish", "leaky_relu"}
# Name of the operator in the dispatcher, and as traced.
_POOLS = {"avg_pool2d": "avg_pool2d", "max_pool2d_with_indices": "max_pool2d"}
# They move data without computing: fvcore ignores them, PyTorch tags the first as element-wise.
_MOVES = {"clone", "expand_as", "pad", "reshape_as"}

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # noqa: SLF001 - the base of all batch and instance norms
# Names of the scale of a residual branch where it is not a module.
_LAYER_SCALES = ("gamma", "layer_scale", "ls")
_KIND_OF_ELEMENTWISE: dict[str, LayerKind] = {
    "mul": "multiply",
    "div": "multiply",
    "add": "add",
    "sub": "add",
    "rsub": "add",
}
_KIND_OF_FVCORE: dict[str, LayerKind] = {
    "conv": "conv",
    "linear": "linear",
    "addmm": "linear",
    "matmul": "matmul",
    "bmm": "matmul",
    "einsum": "matmul",
    "batch_norm": "norm",
    "group_norm": "norm",
    "layer_norm": "norm",
    "instance_norm": "norm",
    "adaptive_avg_pool2d": "pool",
}


def measured_cost(
    model: nn.Module, resolution: int, in_chans: int = 3
) -> tuple[Cost, dict[str, int]]:
    """Return the cost of `model` on one image, and how often it calls each uncounted operator.

    The model runs in eval mode on the CPU, its attention unfused so that fvcore sees the products
    in it. `flops` is fvcore's total; `elementwise_ops` counts each element that an element-wise
    operator writes, and k^2 for each that a k x k pool writes, other than the global average
    pool, which fvcore counts. Softmax, reductions and the like are in neither: they are the
    uncounted operators, by name.

    Args:
        model: The network, which is not changed: a copy is run.

        resolution: Height and width in pixels.

        in_chans: Channels of the image.

    Raises:
        FieldError: where the model does not accept an image of this size.
    """
    model = _prepared(model)
    image = torch.zeros(1, in_chans, resolution, resolution)
    elementwise = _Elementwise()
    try:
        with torch.no_grad(), elementwise:
            model(image)
    except (AssertionError, RuntimeError, ValueError, IndexError) as error:
        # What a model of timm raises for a size that it was not made for.
        raise FieldError(
            "resolution",
            f"{type(model).__name__} does not take {resolution} pixels ({_first_line(error)}); "
            f"set the resolution to {_made_for(model)}, or take another model",
        ) from error
    flops, uncounted = _fvcore(model, image)
    by_kind: Counts = {}
    for counts in (_params(model), flops, elementwise.counts):
        for kind, count in counts.items():
            _add(by_kind, kind, count)
    total = NOTHING
    for count in by_kind.values():
        total = total.plus(count)
    cost = cost_of(PartCost(total, tuple(by_kind.items())))
    return cost, {name: n for name, n in uncounted.items() if not _is_elementwise(name)}


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _made_for(model: nn.Module) -> str:
    """Return the side of the images that a model is made for, in words."""
    size = getattr(model, "default_cfg", {}).get("input_size")
    return str(size[-1]) if size else "one that it takes"


Counts = dict[LayerKind, Count]


def _add(counts: Counts, kind: LayerKind, count: Count) -> None:
    counts[kind] = counts.get(kind, NOTHING).plus(count)


class _Elementwise(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Counts the operations of, and the elements written by, element-wise operators and pools."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.counts: Counts = {}

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
            elements = (written[0] if isinstance(written, tuple) else written).numel()
            height, width = args[1] if len(args[1]) == 2 else 2 * list(args[1])
            self._count("pool", elements, height * width)
        elif _is_pointwise(name):
            kind = _KIND_OF_ELEMENTWISE.get(name.removesuffix("_"), "activation")
            self._count(kind, written.numel())
        return written

    def _count(self, kind: LayerKind, elements: int, ops: int = 1) -> None:
        count = Count(elementwise_ops=ops * elements, activation_elements=elements)
        _add(self.counts, kind, count)


def _params(model: nn.Module) -> Counts:
    """Return the trainable parameters by kind of the layer that holds them, each once."""
    counts: Counts = {}
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                _add(counts, _kind_of_parameter(module, name), Count(params=parameter.numel()))
    return counts


def _kind_of_parameter(module: nn.Module, name: str) -> LayerKind:
    if isinstance(module, nn.modules.conv._ConvNd):  # noqa: SLF001 - the base of all convolutions
        return conv_kind(module.in_channels, module.groups, module.kernel_size)
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, _NORMS):
        return "norm"
    scales = "LayerScale" in type(module).__name__ or name.startswith(_LAYER_SCALES)
    return "layer_scale" if scales else "other"


def _prepared(model: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in eval mode, whose attention is not fused (timm's switch)."""
    model = copy.deepcopy(model).cpu().eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            setattr(module, "fused_attn", False)  # noqa: B010 - torch types it as a module
    return model


def _fvcore(model: nn.Module, image: torch.Tensor) -> tuple[Counts, dict[str, int]]:
    """Return fvcore's total by kind, and how often each operator without a rule is called."""
    with warnings.catch_warnings():
        # fvcore scripts and traces, which recent PyTorch deprecates on import and on use.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, (image,))
        analysis.unsupported_ops_warnings(enabled=False)
        analysis.uncalled_modules_warnings(enabled=False)
        by_module = analysis.by_module_and_operator()
        unsupported = dict(analysis.unsupported_ops())
    operators = Counter(by_module[""])
    counts: Counts = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.conv._ConvNd):  # noqa: SLF001 - the base of all convolutions
            kind = conv_kind(module.in_channels, module.groups, module.kernel_size)
            flops = int(by_module[name]["conv"])
            operators["conv"] -= flops
            _add(counts, kind, Count(flops=flops))
    for operator, flops in operators.items():
        _add(counts, _KIND_OF_FVCORE.get(operator, "other"), Count(flops=int(flops)))
    return counts, unsupported


def _is_elementwise(traced: str) -> bool:
    """Return whether a traced operator such as `aten::mul_` is counted, or computes nothing."""
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
