"""The rows of the built-in families, and candidates of any family from plain data."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.errors import FieldError
from gmsearch.limits import field_errors, instance_from, normalise, raise_all, require
from gmsearch.networks import gmnet, mobilenetv2, resnet18
from gmsearch.networks.candidate import FAMILIES, Candidate, FamilyRow, network_digest
from gmsearch.networks.gmnet import GmNetSpec
from gmsearch.networks.mobilenetv2 import MobileNetV2Spec
from gmsearch.networks.presets import PRESETS, preset_family
from gmsearch.networks.resnet18 import ResNet18Spec
from gmsearch.networks.timm import TimmSpec

FAMILIES.update(
    gmnet=FamilyRow(
        spec=GmNetSpec,
        text="GmNet (arXiv 2503.22841)",
        parts=gmnet.parts,
        places=gmnet.PLACES.names,
    ),
    resnet18=FamilyRow(
        spec=ResNet18Spec,
        text="ResNet-18 (arXiv 1512.03385)",
        parts=resnet18.parts,
        places=resnet18.PLACES.names,
    ),
    mobilenetv2=FamilyRow(
        spec=MobileNetV2Spec,
        text="MobileNetV2 (arXiv 1801.04381)",
        parts=mobilenetv2.parts,
        places=mobilenetv2.PLACES.names,
    ),
    timm=FamilyRow(spec=TimmSpec, text="any model of timm, by name", parts=None),
)
PLACEMENTS = {name: row.places for name, row in FAMILIES.items() if row.places}
"""The places of a gate in the blocks of the built-in families, in the order of the block."""


def candidate_from(tree: Mapping[str, Any]) -> Candidate:
    """Return a candidate from plain data, as `plain` returns it or as a space file's model says.

    `preset` names a row of PRESETS, whose values fill in what the tree does not give, in `gate`
    too.

    Raises:
        FieldError: for an unknown family, preset or key, or a value out of its limits; its
            `errors` lists all of them.
    """
    tree = dict(tree)
    preset = tree.pop("preset", None)
    if preset is not None:
        tree = _with_preset(preset, tree)
    candidate: Candidate = _build_nested(FAMILIES[str(tree.pop("family", "gmnet"))].spec, tree)
    return candidate


def adopted(cls: type[Any], family: str) -> type[Any]:
    """Return a plugin's dataclass as the spec of a family.

    It is a frozen subclass with a field `family`, whose values are checked against the limits in
    their annotations and brought to canonical form before the plugin's own `__post_init__`.

    Args:
        cls: A frozen dataclass with a method `build(num_classes)`; it may have
            `kernel_warnings(resolution)`.

        family: The name that a space file gives it.
    """

    def checked(self: Any) -> None:
        normalise(self)
        raise_all(field_errors(self))
        if hasattr(cls, "__post_init__"):
            cls.__post_init__(self)

    def no_warnings(_self: Any, _resolution: int) -> list[str]:
        return []

    return dataclasses.make_dataclass(
        cls.__name__,
        [("family", Literal[family], dataclasses.field(default=family, kw_only=True))],
        bases=(cls,),
        frozen=True,
        namespace={
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__post_init__": checked,
            "digest": property(network_digest),
            "kernel_warnings": getattr(cls, "kernel_warnings", no_warnings),
        },
    )


def _build_nested(cls: type, tree: Mapping[str, Any]) -> Any:
    """Return an instance of a dataclass, its fields that are dataclasses built from mappings."""
    values, errors = dict(tree), []
    for name, inner in _subtrees(cls).items():
        if isinstance(values.get(name), Mapping):
            try:
                values[name] = instance_from(inner, values[name])
            except FieldError as error:
                errors += [FieldError(f"{name}.{e.path}", e.message) for e in error.errors]
                del values[name]  # a default in its place, so that the other fields are checked
    try:
        instance = instance_from(cls, values)
    except FieldError as error:
        raise_all([*error.errors, *errors])
    raise_all(errors)
    return instance


@functools.cache
def _subtrees(cls: type) -> dict[str, type[Any]]:
    """Return the fields of a dataclass that are dataclasses themselves."""
    hints = typing.get_type_hints(cls)
    names = (field.name for field in dataclasses.fields(cls))
    return {name: hints[name] for name in names if dataclasses.is_dataclass(hints[name])}


def _with_preset(preset: Any, tree: dict[str, Any]) -> dict[str, Any]:
    row = PRESETS[str(preset)]
    family = preset_family(preset)
    asked = tree.get("family", family)
    require(asked == family, "preset", f"{preset} is a {family}, not a {asked}")
    gate = tree.get("gate")
    if isinstance(gate, Mapping):
        tree["gate"] = {**row.get("gate", {}), **gate}
    return {**row, **tree}
