"""What is counted, and how the counts of parts add up to a network's, in all and by kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal[
    "conv",  # dense or grouped
    "depthwise",
    "pointwise",  # 1x1
    "linear",
    "matmul",  # of two tensors, as in attention
    "norm",
    "layer_scale",  # its parameters; its work is under multiply
    "activation",
    "multiply",
    "add",
    "pool",
    "other",
]


class Count(NamedTuple):
    """The four numbers, of anything; see the package's convention."""

    params: int = 0
    flops: int = 0
    elementwise_ops: int = 0
    activation_elements: int = 0

    def plus(self, other: Count) -> Count:
        """Return the sum, number by number."""
        return Count(*map(sum, zip(self, other, strict=True)))

    def times(self, n: int) -> Count:
        """Return `n` of the same."""
        return Count(*(n * number for number in self))


NOTHING = Count()


class Part(NamedTuple):
    """A part of a network: its count, and the same by kind, where a kind may stand repeatedly."""

    total: Count = NOTHING
    kinds: tuple[tuple[Kind, Count], ...] = ()


def part(kind: Kind, **numbers: int) -> Part:
    """Return a part of one kind, its numbers by name."""
    count = Count(**numbers)
    return Part(count, ((kind, count),))


def together(*parts: Part) -> Part:
    """Return several parts as one."""
    total = NOTHING
    for one in parts:
        total = total.plus(one.total)
    return Part(total, tuple(kind for one in parts for kind in one.kinds))


def repeated(one: Part, n: int) -> Part:
    """Return `n` of the same part as one."""
    kinds = tuple((kind, count.times(n)) for kind, count in one.kinds)
    return Part(one.total.times(n), kinds)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a network costs; see the package's convention."""

    params: int
    """Trainable parameters."""
    flops: int
    """Multiply-accumulates as fvcore counts them."""
    elementwise_ops: int
    """Operations of activations, products, scales, sums and pools."""
    activation_elements: int
    """Elements those operations write."""
    parts: tuple[Part, ...] = dataclasses.field(default=(), repr=False, compare=False)
    """What the numbers are the sums of."""

    def metrics(self) -> dict[str, float]:
        """Return the static metrics by name."""
        return {name: getattr(self, name) for name in Count._fields}

    def by_kind(self) -> dict[Kind, Count]:
        """Return the four numbers by kind of layer or operation; they add up to the whole."""
        found: dict[Kind, Count] = {}
        for one in self.parts:
            for kind, count in one.kinds:
                found[kind] = found.get(kind, NOTHING).plus(count)
        return {kind: count for kind, count in found.items() if any(count)}


def cost_of(*parts: Part) -> Cost:
    """Return the sum over the parts of a network."""
    params, flops, ops, elements = map(sum, zip(*[one.total for one in parts], strict=True))
    return Cost(
        params=params,
        flops=flops,
        elementwise_ops=ops,
        activation_elements=elements,
        parts=parts,
    )


def conv_kind(in_chans: int, groups: int, kernel_size: Iterable[int]) -> Kind:
    """Return the kind of a convolution: pointwise 1x1 and dense, depthwise a group per channel.

    Of a single channel a depthwise convolution is a dense one.
    """
    if groups == 1:
        return "pointwise" if all(k == 1 for k in kernel_size) else "conv"
    return "depthwise" if groups == in_chans else "conv"
