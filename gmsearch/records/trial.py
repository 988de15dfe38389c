"""How a plan ended, as the ledger keeps it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from gmsearch.experiment.plan import Assignment, Plan
from gmsearch.plain import plain


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
