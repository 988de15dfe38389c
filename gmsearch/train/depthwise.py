"""Gradients of depthwise convolutions on a CPU, where oneDNN's are slow.

Its weight gradient takes 5 to 25 times as long as the one here for a kernel larger than 3 on maps
of 2 or 4 pixels, which was more than half of all training time of a small network on 32-pixel
images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_MOST_PIXELS = 64  # largest map for which all pairs of pixels are multiplied


class FastDepthwise(TorchFunctionMode):
    """Replaces the gradient of depthwise convolutions of stride 1 that keep the size.

    For float32 on a CPU, outside autocast. The forward pass remains torch's.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call our function instead of torch's where both compute the same."""
        if func is torch.conv2d and len(args) == 7 and not kwargs and _keeps_size(*args[1:]):
            return _Depthwise.apply(*args[:3])
        return func(*args, **(kwargs or {}))


def _keeps_size(
    weight: Tensor, _: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    inner, height, width = weight.shape[1:]
    return (
        inner == 1
        and weight.shape[0] == groups > 1
        and stride == dilation == (1, 1)
        and height % 2 == width % 2 == 1
        and padding == (height // 2, width // 2)
    )


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of stride 1 with odd kernel that keeps the size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolved(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        into = _convolved(grad, weight.flip(2, 3), None) if ctx.needs_input_grad[0] else None
        bias = grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return into, weight_gradient(x, grad, weight), bias


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    return functional.conv2d(x, weight, bias, padding=padding, groups=len(weight))


def weight_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """Return the weight's gradient, (C, 1, k, l), from the input and the output's gradient.

    On small maps it is computed from products of all pairs of pixels, summed over the images and
    then over the pairs that one element of the kernel connects.
    """
    n, channels, height, width = x.shape
    kernel = (weight.shape[2], weight.shape[3])
    pixels = height * width
    if pixels > _MOST_PIXELS or max(kernel) <= 3:
        padding = [kernel[0] // 2, kernel[1] // 2]
        shape = ([1, 1], padding, [1, 1], False, [0, 0], channels)
        wanted = (False, True, False)
        gradients = torch.ops.aten.convolution_backward(grad, x, weight, None, *shape, wanted)
        weights: Tensor = gradients[1]
        return weights
    # A contiguous matrix per channel; otherwise bmm would copy them one by one.
    before, behind = (
        t.permute(1, 0, 2, 3).reshape(channels, n, pixels).contiguous() for t in (x, grad)
    )
    pairs = torch.bmm(before.transpose(1, 2), behind).reshape(channels, pixels * pixels)
    return (pairs @ _joined(height, width, kernel)).reshape(weight.shape)


@functools.lru_cache(maxsize=64)
def _joined(height: int, width: int, kernel: tuple[int, int]) -> Tensor:
    """Return float32 (pairs of pixels, k * l): 1 where a kernel element connects the pair."""
    rows, columns = torch.arange(height), torch.arange(width)
    down = rows[:, None] - rows[None] + kernel[0] // 2  # (input row, output row)
    along = columns[:, None] - columns[None] + kernel[1] // 2
    element = down[:, None, :, None] * kernel[1] + along[None, :, None, :]
    inside = ((down >= 0) & (down < kernel[0]))[:, None, :, None] & (
        (along >= 0) & (along < kernel[1])
    )[None, :, None, :]
    numbers = torch.arange(kernel[0] * kernel[1])
    return ((element[..., None] == numbers) & inside[..., None]).flatten(0, 3).float()
