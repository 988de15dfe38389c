"""Counts of the parts of a network, and their sum as its cost, in total and by kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar, cast

LayerKind = Literal[
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
    """The four numbers of a cost; `gmsearch.networks.cost` states the convention."""

    params: int = 0
    flops: int = 0
    elementwise_ops: int = 0
    activation_elements: int = 0

    def plus(self, other: Count) -> Count:
        """Return the sum, number by number."""
        return Count(*map(sum, zip(self, other, strict=True)))

    def times(self, n: int) -> Count:
        """Return every number times `n`."""
        return Count(*(n * number for number in self))


NOTHING = Count()

_Counted = TypeVar("_Counted", bound=Callable[..., Any])
_CACHES: list[Callable[[], None]] = []


def counted_once(function: _Counted) -> _Counted:
    """Cache the counts that a function returns, until `forget_counts`."""
    cached = lru_cache(maxsize=2**16)(function)
    _CACHES.append(cached.cache_clear)
    return cast("_Counted", cached)


def forget_counts() -> None:
    """Empty the caches of counts, which know activations and products by name.

    To be called when a name gets another meaning, as when a plugin is loaded anew.
    """
    for clear in _CACHES:
        clear()


class PartCost(NamedTuple):
    """A part of a network: its count, and the same by kind; a kind may occur more than once."""

    total: Count = NOTHING
    kinds: tuple[tuple[LayerKind, Count], ...] = ()


def part(kind: LayerKind, **numbers: int) -> PartCost:
    """Return a part of one kind from its numbers by name."""
    count = Count(**numbers)
    return PartCost(count, ((kind, count),))


def together(*parts: PartCost) -> PartCost:
    """Return several parts as one."""
    total = NOTHING
    for part_ in parts:
        total = total.plus(part_.total)
    return PartCost(total, tuple(kind for part_ in parts for kind in part_.kinds))


def repeated(block: PartCost, n: int) -> PartCost:
    """Return `n` equal parts as one."""
    kinds = tuple((kind, count.times(n)) for kind, count in block.kinds)
    return PartCost(block.total.times(n), kinds)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Cost of a network on one image; `gmsearch.networks.cost` states the convention."""

    params: int
    """Trainable parameters."""
    flops: int
    """Multiply-accumulates as fvcore counts them."""
    elementwise_ops: int
    """Operations of activations, products, scales, sums and pools."""
    activation_elements: int
    """Elements that these operations write."""
    parts: tuple[PartCost, ...] = dataclasses.field(default=(), repr=False, compare=False)
    """The parts whose sum the numbers are."""

    def metrics(self) -> dict[str, float]:
        """Return the static metrics by name."""
        return {name: getattr(self, name) for name in Count._fields}

    def by_kind(self) -> dict[LayerKind, Count]:
        """Return the four numbers by kind of layer or operation; they add up to the total."""
        counts: dict[LayerKind, Count] = {}
        for part_ in self.parts:
            for kind, count in part_.kinds:
                counts[kind] = counts.get(kind, NOTHING).plus(count)
        return {kind: count for kind, count in counts.items() if any(count)}


def cost_of(*parts: PartCost) -> Cost:
    """Return the sum over the parts of a network."""
    totals = [counted.total for counted in parts]
    params, flops, ops, elements = map(sum, zip(*totals, strict=True))
    return Cost(
        params=params,
        flops=flops,
        elementwise_ops=ops,
        activation_elements=elements,
        parts=parts,
    )


def conv_kind(in_chans: int, groups: int, kernel_size: Iterable[int]) -> LayerKind:
    """Return the kind of a convolution, from its groups and the sides of its kernel.

    1x1 and dense is pointwise, one group per channel depthwise; with one channel both are dense.
    """
    if groups == 1:
        return "pointwise" if all(k == 1 for k in kernel_size) else "conv"
    return "depthwise" if groups == in_chans else "conv"
