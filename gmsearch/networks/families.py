"""The families of networks, and a candidate of any of them from plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.checks import one_of
from gmsearch.errors import FieldError
from gmsearch.limits import assign, build, require
from gmsearch.networks.gate import Gate
from gmsearch.networks.gmnet import GmNetSpec
from gmsearch.networks.mobilenetv2 import MobileNetV2Spec
from gmsearch.networks.presets import PRESETS, preset_family
from gmsearch.networks.resnet18 import ResNet18Spec
from gmsearch.networks.stages import require_rate
from gmsearch.plain import digest, plain


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimmSpec:
    """Any model of timm by name, so that a front can show what people would pick instead."""

    family: Literal["timm"] = "timm"
    name: str
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        """Check the types; whether timm has the name is known only where timm is loaded."""
        require(self.family == "timm", "family", f"{self.family!r} is not 'timm'")
        require(isinstance(self.name, str) and self.name != "", "name", "is empty")
        require_rate(self.drop_path_rate)
        assign(self, drop_path_rate=float(self.drop_path_rate))

    def kernel_warnings(self, _resolution: int) -> list[str]:
        """Return nothing: what a model of timm is made of is not known here."""
        return []

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return digest(plain(self))


OwnNetwork = GmNetSpec | ResNet18Spec | MobileNetV2Spec
"""The families that are built and counted here."""
Candidate = OwnNetwork | TimmSpec
FAMILIES: dict[str, type[Candidate]] = {
    "gmnet": GmNetSpec,
    "resnet18": ResNet18Spec,
    "mobilenetv2": MobileNetV2Spec,
    "timm": TimmSpec,
}


def candidate_from(tree: Mapping[str, Any]) -> Candidate:
    """Build a candidate from plain data, as `plain` returns it or as a space file's model says.

    `preset` names a row of PRESETS whose values stand where the tree gives none, in `gate` too.

    Raises:
        FieldError: for an unknown family, preset or key, or a value that cannot be.
    """
    tree = dict(tree)
    preset = tree.pop("preset", None)
    if preset is not None:
        tree = _with_preset(preset, tree)
    family = tree.pop("family", "gmnet")
    one_of(family, tuple(FAMILIES), "family")
    gate = tree.get("gate")
    if isinstance(gate, Mapping):
        try:
            tree["gate"] = build(Gate, gate)
        except FieldError as error:
            raise FieldError(f"gate.{error.path}", error.message) from None
    built: Candidate = build(FAMILIES[family], tree)
    return built


def _with_preset(preset: Any, tree: dict[str, Any]) -> dict[str, Any]:
    one_of(preset, tuple(PRESETS), "preset")
    family = preset_family(preset)
    asked = tree.get("family", family)
    require(asked == family, "preset", f"{preset} is a {family}, not a {asked}")
    row = PRESETS[preset]
    gate = tree.get("gate")
    if isinstance(gate, Mapping):
        tree["gate"] = {**row.get("gate", {}), **gate}
    return {**row, **tree}
