"""Records of measurements that train nothing: timings, and finished trials re-evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from gmsearch.records.base import Parsers, Record
from gmsearch.records.trial import Failure, is_final


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimingRecord(Record):
    """Result of timing one candidate alone on its device."""

    kind: ClassVar[str] = "timing"
    parsers: ClassVar[Parsers] = {"failure": Failure}
    optional: ClassVar[frozenset[str]] = frozenset(
        {
            "request",
            "digest",
            "device",
            "metrics",
            "failure",
            "error",
            "disturbed",
            "protocol",
            "device_name",
        }
    )

    key: str
    request: str = ""
    """Digest of the requested metrics."""
    digest: str = ""
    """Digest of the candidate."""
    device: str = ""
    """A torch device string."""
    seconds: float = 0.0
    attempt: int = 1
    run: int = 1
    metrics: Mapping[str, float] | None = None
    """Each named by its condition; None if the timing failed."""
    failure: Failure | None = None
    error: str | None = None
    disturbed: bool | None = None
    """Whether foreign load or a drift of the reference network was detected."""
    protocol: Mapping[str, Any] | None = None
    """Measurement protocol: resolution, mode, dtype, threads, device."""
    device_name: str | None = None
    """Name of the processor or GPU it ran on; None in ledgers of release 0.1."""

    @property
    def final(self) -> bool:
        """Whether the timing is never run again."""
        return is_final(self.failure)

    def counts_before(self, earlier: TimingRecord | None) -> bool:
        """Return whether this timing counts rather than an earlier one of the same request.

        An undisturbed one counts before a disturbed one, and that before one that failed; of two
        alike, the later one counts.
        """
        return earlier is None or self.rank >= earlier.rank

    @property
    def rank(self) -> int:
        """How far the timing can be relied on: 0 for one that failed, 1 if disturbed, else 2."""
        return 0 if not self.metrics else 1 if self.disturbed else 2

    @property
    def spool_name(self) -> str:
        """Name of the record's file in the spool, without its suffix."""
        return f"timing-{self.key}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MeasureRecord(Record):
    """Result of re-evaluating a finished trial from its saved weights."""

    kind: ClassVar[str] = "measure"
    parsers: ClassVar[Parsers] = {"failure": Failure}
    optional: ClassVar[frozenset[str]] = frozenset(
        {"device", "metrics", "failure", "error", "device_name"}
    )

    key: str
    """Key of the trial."""
    request: str
    """Digest of the requested protocol, split and versions of the images."""
    split: str
    protocol: Mapping[str, str]
    """Options the bands were measured with."""
    device: str = ""
    """A torch device string."""
    seconds: float = 0.0
    attempt: int = 1
    run: int = 1
    metrics: Mapping[str, float] | None = None
    """None if the evaluation failed."""
    failure: Failure | None = None
    error: str | None = None
    device_name: str | None = None
    """Name of the processor or GPU it ran on; None in ledgers of release 0.1."""

    @property
    def final(self) -> bool:
        """Whether the evaluation is never run again."""
        return is_final(self.failure)

    @property
    def spool_name(self) -> str:
        """Name of the record's file in the spool, without its suffix."""
        return f"measure-{self.key}-{self.request}"
