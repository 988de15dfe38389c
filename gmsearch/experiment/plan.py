"""Work for a worker, one class per kind, and its progress.

A plan crosses processes as JSON, and makes the record of how it ended.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

from gmsearch.experiment.arm import Arm, arm_from
from gmsearch.experiment.bands import Bands, bands_from
from gmsearch.experiment.data import DataSpec, data_from
from gmsearch.experiment.plugin import PluginFile
from gmsearch.plain import Assignment, digest, plain
from gmsearch.records import (
    Failure,
    MeasureRecord,
    State,
    TimingRecord,
    TrialRecord,
    TuningRecord,
    WorkRecord,
)

MEASUREMENT_VERSION = 1
"""Raised only when the meaning of a number changes; part of every trial's key."""

Decision = Literal["continue", "stop"]
"""Decision on a trial after an epoch."""


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


def timing_key(arm: Arm, *, classes: int, resolution: int, device_name: str, threads: int) -> str:
    """Return the identity of a timing: the candidate, and what its speed depends on."""
    return digest(
        {
            "candidate": arm.candidate.digest,
            "classes": classes,
            "resolution": resolution,
            "device": device_name,
            "threads": threads,
        }
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan(abc.ABC):
    """Fields of every plan; use the class of the kind of work."""

    kind: ClassVar[str]

    key: str
    arm: Arm
    params: Assignment
    """Parameters of the space file; shown to users, never computed with."""
    data: DataSpec
    data_identity: str
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

    @property
    def request(self) -> str:
        """Digest of the request, for work that can be requested more than once."""
        return ""

    @abc.abstractmethod
    def failed(self, failure: Failure, error: str) -> WorkRecord:
        """Return the record of a failure."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `plan_from` is the inverse."""
        return {"kind": self.kind, **plain(self)}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan(Plan):
    """A network to train: a trial, or a run that helps to choose training values."""

    record: ClassVar[type[TrialRecord]]

    seed: int
    bands: Bands

    def completed(
        self,
        metrics: Mapping[str, float],
        *,
        training: Mapping[str, Any] | None = None,
        seconds: float = 0.0,
    ) -> TrialRecord:
        """Return the record of a network trained to its last epoch."""
        return self._ended(
            State.COMPLETE, metrics=metrics, training=training or {}, seconds=seconds
        )

    def failed(self, failure: Failure, error: str) -> TrialRecord:
        """Return the record of a failure."""
        return self._ended(State.FAILED, metrics={}, failure=failure, error=error)

    def _ended(self, state: State, **ending: Any) -> TrialRecord:
        return self.record(
            key=self.key,
            state=state,
            arm=self.arm.digest,
            digest=self.arm.candidate.digest,
            seed=self.seed,
            params=plain(self.params),
            candidate=plain(self.arm.candidate),
            recipe=plain(self.arm.recipe),
            protocol=self.bands.protocol,
            attempt=self.attempt,
            run=self.run,
            **ending,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrialPlan(TrainingPlan):
    """One arm to train with one seed and to measure."""

    kind: ClassVar[str] = "trial"
    record: ClassVar[type[TrialRecord]] = TrialRecord

    known: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Metrics of the candidate known before training: static cost and latency."""
    watched: tuple[str, ...] = ()
    """Metrics measured on the holdout after every epoch, for a scheduler; empty without one."""

    def pruned(
        self, metrics: Mapping[str, float], *, training: Mapping[str, Any], seconds: float
    ) -> TrialRecord:
        """Return the record of a trial that a scheduler stopped early."""
        return self._ended(State.PRUNED, metrics=metrics, training=training, seconds=seconds)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TuningPlan(TrainingPlan):
    """One arm to train with one combination of training values; only its holdout is measured."""

    kind: ClassVar[str] = "tuning"
    record: ClassVar[type[TrialRecord]] = TuningRecord


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimingPlan(Plan):
    """One candidate to time alone on its device."""

    kind: ClassVar[str] = "timing"

    wanted: tuple[str, ...]
    """Metrics to measure; their names state the conditions."""

    @property
    def request(self) -> str:
        """Digest of the requested metrics."""
        return digest({"wanted": self.wanted})

    def on(self, device_name: str, *, classes: int, resolution: int) -> Self:
        """Return the plan with the key of the device it is really run on."""
        key = timing_key(
            self.arm,
            classes=classes,
            resolution=resolution,
            device_name=device_name,
            threads=self.threads,
        )
        return dataclasses.replace(self, key=key)

    def completed(
        self,
        metrics: Mapping[str, float],
        *,
        protocol: Mapping[str, Any] | None = None,
        disturbed: bool | None = None,
    ) -> TimingRecord:
        """Return the record of a timing that succeeded."""
        return self._ended(metrics=metrics, disturbed=disturbed, protocol=protocol)

    def failed(self, failure: Failure, error: str) -> TimingRecord:
        """Return the record of a failure."""
        return self._ended(failure=failure, error=error)

    def _ended(self, **ending: Any) -> TimingRecord:
        return TimingRecord(
            key=self.key,
            request=self.request,
            digest=self.arm.candidate.digest,
            device=self.device,
            attempt=self.attempt,
            run=self.run,
            **ending,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RemeasurePlan(Plan):
    """A finished trial to evaluate again from its saved weights."""

    kind: ClassVar[str] = "measure"

    seed: int
    bands: Bands
    split: str
    wanted: tuple[str, ...]
    """Versions of the images to evaluate, by the names of their metrics."""
    weights_sha256: str | None = None
    """SHA-256 of the weights the trial saved; None if its record does not say."""

    @property
    def request(self) -> str:
        """Digest of the requested protocol, split and versions."""
        protocol = self.bands.protocol
        return digest({"protocol": protocol, "split": self.split, "wanted": self.wanted})

    def completed(self, metrics: Mapping[str, float]) -> MeasureRecord:
        """Return the record of an evaluation that succeeded."""
        return self._ended(metrics=metrics)

    def failed(self, failure: Failure, error: str) -> MeasureRecord:
        """Return the record of a failure."""
        return self._ended(failure=failure, error=error)

    def _ended(self, **ending: Any) -> MeasureRecord:
        return MeasureRecord(
            key=self.key,
            request=self.request,
            split=self.split,
            protocol=self.bands.protocol,
            device=self.device,
            attempt=self.attempt,
            run=self.run,
            **ending,
        )


_PLANS: tuple[type[Plan], ...] = (TrialPlan, TuningPlan, TimingPlan, RemeasurePlan)
PLANS: Mapping[str, type[Plan]] = {plan.kind: plan for plan in _PLANS}
"""Class of each kind of plan."""


def _plugins_from(files: Iterable[Mapping[str, str]]) -> tuple[PluginFile, ...]:
    return tuple(PluginFile(**file) for file in files)


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "arm": arm_from,
    "data": data_from,
    "bands": bands_from,
    "plugins": _plugins_from,
    "wanted": tuple,
    "watched": tuple,
}


def plan_from(tree: Mapping[str, Any]) -> Plan:
    """Build a plan from what `to_json` returned."""
    fields: dict[str, Any] = {
        name: _PARSERS[name](value) if name in _PARSERS else value
        for name, value in tree.items()
        if name != "kind"
    }
    return PLANS[tree["kind"]](**fields)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Progress of a trial after one epoch."""

    key: str
    epoch: int
    epochs: int
    metrics: Mapping[str, float]
    """Training loss and all metrics evaluated after this epoch."""
