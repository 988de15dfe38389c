"""Places of a gate in the blocks of a network: the canonical gate, and the cost of a place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from gmsearch.errors import FieldError
from gmsearch.networks.count import PartCost, together
from gmsearch.networks.gate import ACTIVATIONS, PRODUCTS, Gate, Site
from gmsearch.networks.layers import elementwise


class Places(NamedTuple):
    """The places of a family's block, in the order of the block, and the default one."""

    names: tuple[str, ...]
    default: str


class Place(NamedTuple):
    """Operations at one place of a block: an activation, its second factor, `gain`'s constant."""

    activation: str
    product: str
    kernel_size: int
    """Kernel of the second factor."""
    gain: bool


def gate_errors(gate: Gate, places: Places, n_stages: int) -> Iterator[FieldError]:
    """Yield an error for each field of a gate that does not fit `n_stages` stages and `places`."""
    if gate.placement != ("both",) or len(places.names) != 2:
        for place in gate.placement:
            if place not in places.names and gate.placement != ("default",):
                names = ", ".join(places.names)
                yield FieldError("gate.placement", f"expected one of {names}, got {place!r}")
                break
    if gate.stages != "all" and any(stage >= n_stages for stage in gate.stages):
        outside = [stage for stage in gate.stages if stage >= n_stages]
        yield FieldError("gate.stages", f"{outside} are beyond the last stage, {n_stages - 1}")


def canonical_gate(gate: Gate, places: Places) -> Gate:
    """Return a gate without errors with its places named, in the order of the block."""
    given = gate.placement
    if given == ("default",):
        given = (places.default,)
    elif given == ("both",):
        given = places.names
    named = tuple(name for name in places.names if name in given)
    return gate if named == gate.placement else dataclasses.replace(gate, placement=named)


@lru_cache(maxsize=2**12)
def classic_gate(
    gate: Gate, places: Places, by_stage: tuple[tuple[str, ...], ...], own: str
) -> Gate:
    """Return the gate as a ResNet-18 or MobileNetV2 has it, in one form for equal networks.

    The places that the gate names have its activation, multiplied in the stages that it names;
    the other places have the family's own.

    Args:
        gate: A gate without errors.

        places: The places of the family.

        by_stage: The places in the blocks of each stage.

        own: The family's activation.
    """
    gate = canonical_gate(gate, places)
    untouched = Gate(product="none", activation=own, placement=(places.default,))
    present = tuple(p for p in gate.placement if any(p in stage for stage in by_stage))
    if not present:
        return untouched
    if present != gate.placement:
        gate = dataclasses.replace(gate, placement=present)
    if gate.stages != "all":
        open_stages = [s for s, stage in enumerate(by_stage) if set(present) & set(stage)]
        gated = tuple(s for s in gate.stages if s in open_stages)
        gate = dataclasses.replace(gate, stages="all" if gated == tuple(open_stages) else gated)
    if gate.stages == "all":
        gate = without_self(gate)
    return untouched if (gate.product, gate.activation) == ("none", own) else gate


def without_self(gate: Gate) -> Gate:
    """Return a gate that is an activation by another name under that name."""
    name = ACTIVATIONS[gate.activation].times_self
    if gate.product != "self" or name is None:
        return gate
    return dataclasses.replace(gate, product="none", activation=name)


def classic_places(
    gate: Gate, own: str, names: Sequence[str], *, gain: bool
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Return the named places of the gated blocks, and of the blocks that are not gated.

    For families in which a place that the gate does not name keeps the family's activation.
    """
    plain = Place(own, "none", gate.kernel_size, gain)
    gated = Place(gate.activation, gate.product, gate.kernel_size, gain)
    ungated = Place(gate.activation, "none", gate.kernel_size, gain)
    return (
        tuple(gated if name in gate.placement else plain for name in names),
        tuple(ungated if name in gate.placement else plain for name in names),
    )


def count_place(place: Place, width: int, source_width: int, side: int) -> PartCost:
    """Count the activation of a place on a map of `width` channels, and its second factor.

    Args:
        place: What is counted.

        width: Channels of the map.

        source_width: Channels of the tensor that the layer before reads, for `split`.

        side: Height and width of the map in pixels.

    Raises:
        FieldError: where a plugin's part states no cost.
    """
    steps, count = ACTIVATIONS[place.activation].steps, PRODUCTS[place.product].count
    if steps is None:
        raise FieldError("gate.activation", f"{place.activation} states no cost; measure it")
    if count is None:
        raise FieldError("gate.product", f"{place.product} states no cost; measure it")
    return together(
        elementwise("activation", width, side, steps),
        elementwise("multiply", width, side, int(place.gain)),
        count(Site(width, source_width, place.kernel_size), side),
        elementwise("multiply", width, side, int(place.product != "none")),
    )
