"""Any model of timm as plain data."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from gmsearch.limits import Share, Text, check, normalise
from gmsearch.networks.candidate import network_digest


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimmSpec:
    """Any model of timm by name, for comparison on the same front."""

    family: Literal["timm"] = "timm"
    name: Annotated[str, Text(pattern=r".+", words="the name of a model of timm")]
    """Name of the model, as in `timm.create_model`."""

    drop_path_rate: Share = 0.0
    """Stochastic depth, where the model has it."""

    def __post_init__(self) -> None:
        """Check the types; whether timm has the name is known only where timm is loaded."""
        normalise(self)
        check(self)

    def kernel_warnings(self, _resolution: int) -> list[str]:
        """Return nothing: the layers of a model of timm are not known here."""
        return []

    @property
    def digest(self) -> str:
        """The hash of the canonical form."""
        return network_digest(self)
