"""Torch modules of what plugins register, each checked on a small input when it is built."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gmsearch.errors import FieldError, GmsearchError, PluginCodeError
from gmsearch.experiment.plugin import PluginFile
from gmsearch.plugins.blame import described
from gmsearch.plugins.parts import Part, located
from gmsearch.plugins.tables import metric_parts

MetricFunction = Callable[[Tensor, Tensor], float]
_SIDE = 8
_IMAGES = 2


class FunctionOfTensor(nn.Module):
    """An activation that is a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, h: Tensor) -> Tensor:
        """Return the function of h, of the same shape."""
        return self.function(h)


def activation_module(part: Part, file: PluginFile) -> nn.Module:
    """Return an activation; FieldError unless it keeps the shape of its input."""
    path = "gate.activation"
    if isinstance(part.make, type):
        module = _built(part, file, path, {})
    else:
        module = FunctionOfTensor(part.make)
    _require_same_shape(module, 2, part, file, path)
    return module


def product_module(
    part: Part, file: PluginFile, channels: int, kernel_size: int | None
) -> nn.Module:
    """Return the second factor of a gate; FieldError unless it keeps the shape of its input."""
    kernel = {} if kernel_size is None else {"kernel_size": kernel_size}
    module = _built(part, file, "gate.product", {"channels": channels, **kernel})
    _require_same_shape(module, channels, part, file, "gate.product")
    return module


def network(
    part: Part, file: PluginFile, arguments: Mapping[str, Any], num_classes: int
) -> nn.Module:
    """Return a network of a plugin's family; FieldError unless that is what its code returns."""
    if hasattr(part.make, "__dataclass_fields__"):
        return _built(part, file, "family", arguments, lambda spec: spec.build(num_classes))
    return _built(part, file, "family", {**arguments, "num_classes": num_classes})


def require_logits(
    model: nn.Module,
    where: str,
    file: PluginFile | None,
    *,
    num_classes: int,
    resolution: int,
) -> None:
    """Raise FieldError unless a plugin's network maps images (N, 3, S, S) to finite logits.

    Args:
        model: left as it is; run in eval mode, on the CPU.
        where: how a message names its family, such as `my_net of my_net.py:4`.
        file: the plugin, whose line a message names.
        num_classes: number of logits; they are (N, num_classes).
        resolution: side S of the images in pixels.
    """
    # Normal, as normalised images are: a network may divide by what is 0 for a black image.
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(_IMAGES, 3, resolution, resolution, generator=noise)
    training = model.training
    try:
        with torch.no_grad():
            returned = model.eval()(images)
    except Exception as error:
        raise FieldError(
            "family",
            f"{where} fails on images of shape {tuple(images.shape)}: {described(error, file)}",
        ) from error
    finally:
        model.train(training)
    shape = tuple(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
    if shape != (_IMAGES, num_classes):
        raise FieldError(
            "family",
            f"{where}: expected logits of shape {(_IMAGES, num_classes)}, got {shape}",
        )
    broken = int((~torch.isfinite(returned)).sum())
    if broken:
        raise FieldError(
            "family",
            f"{where}: expected finite logits, got {broken} of {returned.numel()} "
            "that are not, before training",
        )


def metric_functions(files: Sequence[PluginFile]) -> dict[str, MetricFunction]:
    """Return the metrics of some plugins by name, see `metric_function`."""
    return {name: metric_function(*part) for name, part in metric_parts(files).items()}


def metric_function(part: Part, file: PluginFile) -> MetricFunction:
    """Return a metric that raises PluginCodeError unless its code returns a finite number."""
    name = f"metric {located(part, file)}"

    def measured(logits: Tensor, labels: Tensor) -> float:
        try:
            value = part.make(logits, labels)
        except GmsearchError:
            raise
        except Exception as error:
            raise PluginCodeError(f"{name}: {described(error, file)}") from error
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise PluginCodeError(f"{name}: expected a finite number, got {value!r}")
        return float(value)

    return measured


def _built(
    part: Part,
    file: PluginFile,
    path: str,
    arguments: Mapping[str, Any],
    finish: Callable[[Any], Any] = lambda built: built,
) -> nn.Module:
    try:
        module = finish(part.make(**arguments))
    except GmsearchError:
        raise
    except Exception as error:
        raise FieldError(
            path, f"{located(part, file)} cannot be built: {described(error, file)}"
        ) from error
    if not isinstance(module, nn.Module):
        raise FieldError(
            path,
            f"{located(part, file)}: expected a torch.nn.Module, got {type(module).__name__}",
        )
    return module


def _require_same_shape(
    module: nn.Module, channels: int, part: Part, file: PluginFile, path: str
) -> None:
    """Raise FieldError unless a module keeps the shape of a small input."""
    given = torch.zeros(1, channels, _SIDE, _SIDE)
    training = module.training
    try:
        with torch.no_grad():
            returned = module.eval()(given)
    except GmsearchError:
        raise
    except Exception as error:
        raise FieldError(
            path,
            f"{located(part, file)} fails on a tensor of shape {tuple(given.shape)}: "
            f"{described(error, file)}",
        ) from error
    finally:
        module.train(training)
    shape = tuple(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
    if shape != tuple(given.shape):
        raise FieldError(
            path,
            f"{located(part, file)}: expected a tensor of the input's shape "
            f"{tuple(given.shape)}, got {shape}",
        )
