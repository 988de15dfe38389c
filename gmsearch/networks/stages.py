"""Rules shared by the families: values per stage, gates, kernels larger than their maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gmsearch.errors import FieldError
from gmsearch.limits import field_errors
from gmsearch.networks.gate import PRODUCTS, Gate
from gmsearch.networks.places import Places, gate_errors


def network_errors(
    network: Any, places: Places, *, n_stages: int | None = None, per_stage: Sequence[str] = ()
) -> list[FieldError]:
    """Return the errors of all fields of a network of stages, alone and against each other.

    Args:
        network: A spec with `widths`, `depths`, `gate` and `gain`.

        places: The places of its gate.

        n_stages: The number of stages of the family; None where `widths` gives it.

        per_stage: The fields that hold one value, or one per stage.
    """
    errors = field_errors(network)
    broken = {error.path for error in errors}
    widths, depths, gate = network.widths, network.depths, network.gate
    n_stages = n_stages or len(widths)
    if not broken & {"widths", "depths"} and len(widths) != len(depths):
        message = f"has {len(depths)} stages where widths has {len(widths)}; give one per stage"
        errors.append(FieldError("depths", message))
    for name in per_stage:
        n = len(getattr(network, name))
        if not broken & {"widths", name} and n not in (1, n_stages):
            message = f"has {n} values for {n_stages} stages; give one, or one per stage"
            errors.append(FieldError(name, message))
    if not broken & {"widths", "gate"}:
        errors += gate_errors(gate, places, n_stages)
    scaled = not broken & {"gain", "gate"} and network.gain != "none"
    if scaled and not PRODUCTS[gate.product].has_moments:
        message = f"the moments of product {gate.product} are not known; set gain to none"
        errors.append(FieldError("gain", message))
    return errors


def ratio_errors(
    ratios: tuple[float, ...], widths: Sequence[int], errors: Sequence[FieldError]
) -> Iterator[FieldError]:
    """Yield an error where a ratio times a width is below 1, unless either has `errors`."""
    if {"mlp_ratio", "widths"} & {error.path for error in errors}:
        return
    for ratio, width in zip(spread(ratios, len(widths)), widths, strict=False):
        if int(ratio * width) < 1:
            yield FieldError("mlp_ratio", f"{ratio!r} times width {width} leaves no channel")
            return


def spread(values: tuple[Any, ...], n_stages: int) -> tuple[Any, ...]:
    """Return one value per stage from one value for all, or from one per stage."""
    return values * n_stages if len(values) == 1 else values


def halved(side: int) -> int:
    """Return the side of the map that a stride of 2 makes, the padding keeping the size."""
    return (side + 1) // 2


def kernel_warnings(gate: Gate, kernels: Sequence[int], sides: Sequence[int]) -> list[str]:
    """Return a line for every kernel that is larger than the map it works on.

    Args:
        gate: The gate of the network.

        kernels: The kernel of every stage.

        sides: Height and width of the map of every stage, in pixels.
    """
    lines = []
    for stage, (kernel, side) in enumerate(zip(kernels, sides, strict=True)):
        named = ((f"stage {stage}", kernel), (f"gate of stage {stage}", gate.kernel_in(stage)))
        lines += [
            f"{place}: a kernel of {size} is larger than its map of {side}x{side} pixels"
            for place, size in named
            if size is not None and size > side
        ]
    return lines
