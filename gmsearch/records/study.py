"""Records the driver writes: the study, its runs, proposals, rejections and tuned values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from gmsearch.plain import Assignment
from gmsearch.records.base import Parsers, Record, RecordPart


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecord(Record):
    """First line of every ledger."""

    kind: ClassVar[str] = "study"
    optional: ClassVar[frozenset[str]] = frozenset({"created"})

    schema: int
    """Version of the form of the lines."""
    study: str
    space: str
    """Digest of the space the study began with."""
    gmsearch: str
    """Release that created the ledger."""
    created: str = ""
    """Time in UTC, ISO 8601."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImagesPart(RecordPart):
    """The images of a run, as described in its record."""

    optional: ClassVar[frozenset[str]] = frozenset(
        {"identity_of", "mean", "std", "resolution", "evaluation", "holdout", "classes"}
    )

    identity_of: str | None = None
    """Source of the data identity's digest: parameters, bytes, or paths and sizes."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resolution: int | None = None
    evaluation: int | None = None
    """Number of images of the evaluation split."""
    holdout: int | None = None
    """Number of images of the holdout."""
    classes: int | None = None
    """Number of classes; None in ledgers of release 0.1."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DevicePart(RecordPart):
    """The device of a run, as described in its record."""

    kind: str
    """A torch device string."""
    name: str
    """Name of the processor or GPU."""


_NO_EFFECT = ("gmsearch", "ray")
"""Packages whose version changes no number: ours by promise, the other hands out work only."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord(Record):
    """One start of `gmsearch run` or `gmsearch measure` that had something to do.

    `extra` holds the environment: packages, Python, system, processor, driver, commit, command.
    """

    kind: ClassVar[str] = "run"
    parsers: ClassVar[Parsers] = {
        "images": ImagesPart.from_json,
        "plugins": tuple,
        "device": DevicePart.from_json,
    }
    optional: ClassVar[frozenset[str]] = frozenset(
        {"started", "engine", "space", "data", "images", "plugins", "device", "threads"}
    )

    run: int
    """Number of the run within its study, from 1."""
    started: str = ""
    """Time in UTC, ISO 8601."""
    engine: str = ""
    space: str = ""
    """Digest of the space."""
    data: str = ""
    """Identity of the data."""
    images: ImagesPart | None = None
    plugins: tuple[Mapping[str, str], ...] = ()
    """Name and SHA-256 of each plugin."""
    device: DevicePart | None = None
    threads: int | None = None
    """Number of CPUs of a trial."""

    @property
    def packages(self) -> dict[str, str]:
        """Versions of the packages that affect numbers, by name; empty if not recorded."""
        packages = self.extra.get("packages")
        if not isinstance(packages, Mapping):
            return {}
        return {
            str(name): version
            for name, version in packages.items()
            if name not in _NO_EFFECT and isinstance(version, str)
        }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AskRecord(Record):
    """One proposal of the sampler."""

    kind: ClassVar[str] = "ask"
    optional: ClassVar[frozenset[str]] = frozenset({"arm", "uncounted"})

    number: int
    """Number of the proposal within its study, from 0."""
    params: Assignment
    arm: str = ""
    """Digest of the arm as the space gives it: neither matched nor tuned."""
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """State that the sampler needs to resume."""
    uncounted: tuple[str, ...] = ()
    """Operators that the static cost of the candidate leaves out."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InfeasibleRecord(Record):
    """One proposal that broke a constraint before training."""

    kind: ClassVar[str] = "infeasible"
    optional: ClassVar[frozenset[str]] = frozenset({"arm", "digest"})

    number: int
    """Number of the proposal."""
    arm: str = ""
    """Digest of the arm as the space gives it: neither matched nor tuned."""
    digest: str = ""
    """Digest of the candidate, matched if the space asks for it."""
    params: Assignment = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Metrics of the candidate known before training."""
    violations: Mapping[str, float]
    """Excess over each constraint."""
    run: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TriedPart(RecordPart):
    """One combination of training values that was tried."""

    values: Mapping[str, int | float]
    mean: float | None
    """Mean of the metric over the arms that could be trained; None if none could."""
    failed: int
    """Number of arms that could not be trained."""


def _tried(trees: list[Mapping[str, Any]]) -> tuple[TriedPart, ...]:
    return tuple(map(TriedPart.from_json, trees))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TunedRecord(Record):
    """The training values chosen for an arm, or for all arms of a study."""

    kind: ClassVar[str] = "tuned"
    parsers: ClassVar[Parsers] = {"tried": _tried}

    arm: str
    """Digest of the arm before tuning, or `study` if all arms share the choice."""
    metric: str
    seed: int
    tried: tuple[TriedPart, ...]
    chosen: Mapping[str, int | float] | None
    """None if no value could be trained."""
    edges: Mapping[str, str]
    """Parameters whose chosen value is the lowest or highest tried."""
    run: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OtherRecord(Record):
    """A line of a kind that only a later release knows; kept, but not used."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """Return the line as it was read."""
        return dict(self.extra)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> OtherRecord:
        """Keep the line as it is."""
        return cls(extra=dict(tree))
