"""Records of trained networks: trials, and the runs that choose training values."""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from gmsearch.plain import Assignment
from gmsearch.records.base import Parsers, Record


class State(enum.StrEnum):
    """State in which a trial ended."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    INFEASIBLE = "INFEASIBLE"
    FAILED = "FAILED"


class Failure(enum.StrEnum):
    """Class of a failure; the first two are the candidate's fault, the rest the machine's."""

    DIVERGED = "diverged"
    CODE = "code"
    OOM = "oom"
    HANG = "hang"
    INFRASTRUCTURE = "infrastructure"

    @property
    def retried(self) -> bool:
        """Whether another attempt may succeed."""
        return self in (Failure.OOM, Failure.HANG, Failure.INFRASTRUCTURE)


MAX_ATTEMPTS = 3
"""Number of attempts at work that failed through no fault of its candidate; each later run makes
one more."""


def is_final(failure: Failure | None) -> bool:
    """Whether work that ended with `failure` (None for success) is never run again."""
    return failure is None or not failure.retried


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord(Record):
    """Result of one attempt at a trial; never replaced once COMPLETE or PRUNED."""

    kind: ClassVar[str] = "trial"
    request: ClassVar[str] = ""
    parsers: ClassVar[Parsers] = {"state": State, "failure": Failure}
    optional: ClassVar[frozenset[str]] = frozenset({"failure", "error", "device_name"})

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
    """Unrounded, in base units, finite; a metric that was not measured is absent."""
    protocol: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options the bands were measured with."""
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Details that the recipe leaves open: the dtype, the micro-batch if batches were split, the
    epochs an interrupted trial was resumed from, the epochs of a pruned one, and the SHA-256 of
    the weights."""
    seconds: float = 0.0
    attempt: int = 1
    run: int = 1
    failure: Failure | None = None
    error: str | None = None
    device_name: str | None = None
    """Name of the processor or GPU the trial ran on; None in ledgers of release 0.1."""

    @property
    def final(self) -> bool:
        """Whether the trial is never run again."""
        return is_final(self.failure)

    @property
    def spool_name(self) -> str:
        """Name of the record's file in the spool, without its suffix."""
        return self.key


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TuningRecord(TrialRecord):
    """Result of one run that helps to choose training values; no number shown comes from it."""

    kind: ClassVar[str] = "tuning"


def shared(tree: Mapping[str, Any], pool: dict[str, Any]) -> Mapping[str, Any]:
    """Return a line with the parts that other trials have too taken from `pool`.

    The seeds of an arm share its candidate and recipe, and all trials the names of their metrics:
    a large ledger is held in a fraction of its size. Lines of other kinds are not changed.
    """
    if tree["record"] not in (TrialRecord.kind, TuningRecord.kind):
        return tree
    line, protocol = dict(tree), tree.get("protocol", {})
    line["candidate"] = pool.setdefault("c" + tree["digest"], tree["candidate"])
    line["recipe"] = pool.setdefault("a" + tree["arm"], tree["recipe"])
    line["protocol"] = pool.setdefault(f"p{sorted(protocol.items())}", protocol)
    line["training"] = tree.get("training") or pool.setdefault("", {})
    for name in ("metrics", "params"):
        line[name] = {sys.intern(key): value for key, value in tree[name].items()}
    return line
