"""What a study is asked for and what it answers: objectives, constraints, plans and records.

Plain frozen data that crosses processes as JSON; nothing here runs anything.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Literal

from gmsearch.candidate import (
    Arm,
    Bands,
    DataSpec,
    arm_from,
    bands_from,
    data_from,
    digest,
    plain,
    timed,
)

MEASUREMENT_VERSION = 1
"""Raised only when the meaning of a number changes; part of every trial's key."""

STATIC_METRICS = ("params", "flops", "elementwise_ops", "activation_elements")
"""Known before training, from the candidate alone."""
SPLIT_METRICS = ("top1", "top5", "loss", "nodc")
"""Measured after training, beside the band metrics, on every split."""
HOLDOUT = "holdout."
"""Prefix of a metric measured on the holdout of the training split."""

Value = str | int | float | bool | None | tuple[Any, ...]
"""What one parameter of a space may take; a choice of subtrees is named by its label."""
Assignment = Mapping[str, Value]
"""Parameter path -> value, active parameters only, in the order of the space file."""


class State(enum.StrEnum):
    """How a trial ended."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    INFEASIBLE = "INFEASIBLE"
    FAILED = "FAILED"


class Failure(enum.StrEnum):
    """Why a trial failed; the first two are the candidate's, the rest the machine's."""

    DIVERGED = "diverged"
    CODE = "code"
    OOM = "oom"
    HANG = "hang"
    INFRASTRUCTURE = "infrastructure"

    @property
    def retried(self) -> bool:
        """Whether another attempt may end otherwise."""
        return self in (Failure.OOM, Failure.HANG, Failure.INFRASTRUCTURE)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """A metric and the direction in which it is better."""

    metric: str
    direction: Literal["maximize", "minimize"]

    @property
    def sign(self) -> int:
        """The factor that makes smaller better."""
        return 1 if self.direction == "minimize" else -1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A number, or a multiple of the baseline's value."""

    value: float
    of_baseline: bool = False

    def resolve(self, baseline: float | None) -> float | None:
        """Return the bound as a number; None while the baseline's value is not known."""
        if not self.of_baseline:
            return self.value
        return None if baseline is None else self.value * baseline

    def __str__(self) -> str:
        """Return the spelling of the space file."""
        return f"{self.value:g} x baseline" if self.of_baseline else f"{self.value:g}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """Bounds of one metric, both inclusive."""

    metric: str
    minimum: Bound | None = None
    maximum: Bound | None = None

    @property
    def static(self) -> bool:
        """Whether it can be judged before training, without a device."""
        return self.metric in STATIC_METRICS

    @property
    def timed(self) -> bool:
        """Whether it can be judged before training, by timing."""
        return timed(self.metric) is not None

    def excess(self, value: float, baseline: float | None) -> float:
        """Return by how much `value` breaks the bounds, in the metric's unit; <= 0 is feasible.

        A bound relative to a baseline whose value is not known binds nothing.
        """
        over = [-float("inf")]
        if self.maximum is not None and (high := self.maximum.resolve(baseline)) is not None:
            over.append(value - high)
        if self.minimum is not None and (low := self.minimum.resolve(baseline)) is not None:
            over.append(low - value)
        return max(over)

    def __str__(self) -> str:
        """Return the constraint as one reads it, such as `flops <= 6e+06`."""
        low = f"{self.minimum} <= " if self.minimum is not None else ""
        high = f" <= {self.maximum}" if self.maximum is not None else ""
        return f"{low}{self.metric}{high}"


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
        }
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a trial is; what a live view shows."""

    key: str
    epoch: int
    epochs: int
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """The end of one trial, as the ledger keeps it; final once COMPLETE."""

    key: str
    state: State
    arm: str
    """Digest of the arm; `digest` is the candidate's."""
    digest: str
    seed: int
    params: Assignment
    candidate: Mapping[str, Any]
    recipe: Mapping[str, Any]
    metrics: Mapping[str, float]
    """Unrounded, in base units, finite; what was not measured is absent."""
    protocol: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The options of the bands they were measured with."""
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the recipe leaves open: the dtype, the images of a forward pass where a batch took
    several, the epochs an interrupted trial was continued from, the digest of the weights."""
    seconds: float = 0.0
    attempt: int = 1
    run: int = 1
    failure: Failure | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the ledger's form of the record."""
        tree: dict[str, Any] = plain(self)
        return {"record": "trial", **{k: v for k, v in tree.items() if v is not None}}

    @property
    def final(self) -> bool:
        """Whether the trial is never to be run again."""
        return self.failure is None or not self.failure.retried


def record_from(tree: Mapping[str, Any]) -> TrialRecord:
    """Build a trial record from its line in the ledger."""
    names = {f.name for f in dataclasses.fields(TrialRecord)}
    known = {k: v for k, v in tree.items() if k in names}
    known["state"] = State(known["state"])
    if known.get("failure") is not None:
        known["failure"] = Failure(known["failure"])
    return TrialRecord(**known)


def record_of(
    plan: Plan,
    *,
    seconds: float = 0.0,
    failure: Failure | None = None,
    error: str | None = None,
    metrics: Mapping[str, float] | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the ledger's record of how `plan` ended; that of a tuning is like a trial's.

    `details` stand beside the metrics of a timing: its protocol. Of a trial: its training.
    """
    if plan.kind not in ("trial", "tuning"):
        ended = {"metrics": metrics} if failure is None else {"failure": failure, "error": error}
        of: dict[str, Any] = {"digest": plan.arm.candidate.digest}
        if plan.kind == "measure":
            of = {"split": plan.split, "protocol": plan.bands.protocol}
        tree: dict[str, Any] = plain(
            {
                "record": plan.kind,
                "key": plan.key,
                "request": plan.request,
                **of,
                "device": plan.device,
                "seconds": seconds,
                "attempt": plan.attempt,
                "run": plan.run,
                **ended,
                **(details or {}),
            }
        )
        return tree
    trial = TrialRecord(
        key=plan.key,
        state=State.COMPLETE if failure is None else State.FAILED,
        arm=plan.arm.digest,
        digest=plan.arm.candidate.digest,
        seed=plan.seed,
        params=plan.params,
        candidate=plain(plan.arm.candidate),
        recipe=plain(plan.arm.recipe),
        metrics=metrics or {},
        protocol=plan.bands.protocol,
        training=details or {},
        seconds=seconds,
        attempt=plan.attempt,
        run=plan.run,
        failure=failure,
        error=error,
    )
    return {**trial.to_json(), "record": plan.kind}
