"""Checks that the families share: numbers per stage, ranges, kernels against their maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gmsearch.checks import is_int, is_number, one_of
from gmsearch.limits import require


def listed(values: Any) -> tuple[Any, ...]:
    """Return values as a tuple, one value as a tuple of it."""
    return tuple(values) if isinstance(values, (list, tuple)) else (values,)


def stages_of(widths: Any, depths: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return channels and blocks per stage, checked against each other."""
    widths, depths = listed(widths), listed(depths)
    for name, values in (("widths", widths), ("depths", depths)):
        require(len(values) > 0, name, "is empty; give one integer per stage")
        require(
            all(is_int(v) and v > 0 for v in values),
            name,
            f"{list(values)} are not all positive integers",
        )
    require(
        len(widths) == len(depths),
        "depths",
        f"has {len(depths)} stages where widths has {len(widths)}; give one per stage",
    )
    return widths, depths


def per_stage(values: Any, n_stages: int, path: str) -> tuple[Any, ...]:
    """Return one value per stage, one value standing for all."""
    given = listed(values)
    if len(given) == 1:
        given *= n_stages
    require(
        len(given) == n_stages,
        path,
        f"has {len(given)} values for {n_stages} stages; give one, or one per stage",
    )
    return given


def kernels_of(values: Any, n_stages: int) -> tuple[int, ...]:
    """Return one odd kernel per stage."""
    kernels = per_stage(values, n_stages, "kernel_size")
    require(
        all(is_int(k) and k > 0 and k % 2 == 1 for k in kernels),
        "kernel_size",
        f"{list(kernels)} are not all positive odd integers",
    )
    return kernels


def require_positive(value: object, path: str) -> None:
    """Raise FieldError unless `value` is a positive integer."""
    require(is_int(value) and value > 0, path, f"{value!r} is not a positive integer")  # type: ignore[operator] # an int by then


def require_shared(network: Any, inits: Sequence[str]) -> None:
    """Raise FieldError for a value of the fields that all families have but widths and depths."""
    one_of(network.stem, ("imagenet", "cifar"), "stem")
    require_positive(network.stem_width, "stem_width")
    require_rate(network.drop_path_rate)
    one_of(network.init, inits, "init")
    one_of(network.gain, ("none", "unit_variance"), "gain")


def require_rate(value: object) -> None:
    """Raise FieldError unless `value` can be the rate of stochastic depth."""
    inside = is_number(value) and 0 <= value < 1  # type: ignore[operator] # a number by then
    require(inside, "drop_path_rate", f"{value!r} is not in [0, 1)")


def halved(side: int) -> int:
    """Return the side of the map that a stride of 2 makes, the padding keeping the size."""
    return (side + 1) // 2


def larger_than_map(kernels: Iterable[tuple[str, int, int]]) -> list[str]:
    """Return a line for each (place, kernel, side of the map) whose kernel exceeds its map."""
    return [
        f"{place}: a kernel of {kernel} is larger than its map of {side}x{side} pixels"
        for place, kernel, side in kernels
        if kernel > side
    ]
