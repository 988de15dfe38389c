"""What a worker is told to do, and how far it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.experiment.arm import Arm, arm_from
from gmsearch.experiment.bands import Bands, bands_from
from gmsearch.experiment.data import DataSpec, data_from
from gmsearch.experiment.plugin import PluginFile
from gmsearch.plain import digest, plain

MEASUREMENT_VERSION = 1
"""Raised only when the meaning of a number changes; part of every trial's key."""

Value = str | int | float | bool | None | tuple[Any, ...]
"""What one parameter of a space may take; a choice of subtrees is named by its label."""
Assignment = Mapping[str, Value]
"""Parameter path -> value, active parameters only, in the order of the space file."""


def trial_key(arm: Arm, *, data_identity: str, holdout: float, seed: int, device_kind: str) -> str:
    """Return the identity of a trial: what determines its trained numbers, and nothing else."""
    return digest(
        {
            "arm": arm.digest,
            "data": data_identity,
            "holdout": holdout,
            "seed": seed,
            "device": device_kind,
            "dtype": arm.recipe.dtype_on(device_kind),
            "measurement_version": MEASUREMENT_VERSION,
        }
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that a worker needs to run a trial, time a candidate, or measure a trial again.

    A tuning is a trial that chooses training values: its holdout alone is measured.
    """

    kind: Literal["trial", "tuning", "timing", "measure"]
    key: str
    arm: Arm
    params: Assignment
    """What the space file's parameters were; shown, never computed with."""
    seed: int
    data: DataSpec
    data_identity: str
    bands: Bands
    device: str
    """A torch device string such as `cpu` or `cuda`."""
    threads: int
    study_dir: str
    """Absolute; the record goes to its `spool`, the history to its `history`."""
    plugins: tuple[PluginFile, ...] = ()
    """Plugins of the study, whose parts the arm, the data or the metrics may use."""
    attempt: int = 1
    run: int = 1
    """Number of the `run` record this work belongs to."""
    known: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Metrics of the candidate known before training: static cost and latency."""
    split: str = "evaluation"
    """Of a measure: the split."""
    wanted: tuple[str, ...] = ()
    """Of a measure: the versions of the images, by the names of their metrics. Of a timing: the
    metrics, whose names say under which conditions."""
    weights_sha256: str | None = None
    """Of a measure: the digest of the weights that the trial left; None where it does not say."""

    @property
    def request(self) -> str:
        """What a measure or a timing asks for, apart from what it asks it of."""
        if self.kind == "timing":
            return digest({"wanted": self.wanted})
        protocol = self.bands.protocol
        return digest({"protocol": protocol, "split": self.split, "wanted": self.wanted})

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `plan_from` is the inverse."""
        tree: dict[str, Any] = plain(self)
        return tree


def plan_from(tree: Mapping[str, Any]) -> Plan:
    """Build a plan from what `to_json` returned."""
    return Plan(
        **{
            **tree,
            "arm": arm_from(tree["arm"]),
            "data": data_from(tree["data"]),
            "bands": bands_from(tree["bands"]),
            "wanted": tuple(tree["wanted"]),
            "plugins": tuple(PluginFile(**file) for file in tree["plugins"]),
        }
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a trial is; what a live view shows."""

    key: str
    epoch: int
    epochs: int
    metrics: Mapping[str, float]
