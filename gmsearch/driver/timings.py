"""Timings of a study by key, and the device they are compared on."""

from __future__ import annotations

from collections.abc import Mapping

from gmsearch.ledger import Records
from gmsearch.records import TimingRecord


class TimingIndex:
    """The timings by key and request; follows the ledger as it grows."""

    def __init__(self, records: Records, driver_device: str) -> None:
        """Index the timings in `records`; `driver_device` is the name of the driver's device."""
        self._records = records
        self._driver_device = driver_device
        self._read = 0
        self._last: dict[tuple[str, str], TimingRecord] = {}
        self._best: dict[str, dict[str, TimingRecord]] = {}
        self._device: tuple[int, str] | None = None

    @property
    def device_name(self) -> str:
        """Name of the device that timings are compared on; those of two names are never mixed.

        That is the first device that measured one in the latest run started from a machine like
        this one, which on a cluster may be another than the driver's own.
        """
        self._update()
        return self._driver_device if self._device is None else self._device[1]

    def of(self, key: str) -> Mapping[str, TimingRecord]:
        """Return the record that counts for each request of one key."""
        self._update()
        return self._best.get(key, {})

    def last(self, key: str, request: str) -> TimingRecord | None:
        """Return the last attempt at a timing."""
        self._update()
        return self._last.get((key, request))

    def _update(self) -> None:
        for record in self._records.timings[self._read :]:
            self._last[record.key, record.request] = record
            best = self._best.setdefault(record.key, {})
            if record.counts_before(best.get(record.request)):
                best[record.request] = record
            if record.metrics and record.device_name and self._is_ours(record.run):
                latest = self._device is None or self._device[0] != record.run
                if latest:
                    self._device = record.run, record.device_name
        self._read = len(self._records.timings)

    def _is_ours(self, number: int) -> bool:
        """Return whether a run was started from a machine whose device is named like this one."""
        runs = [run for run in self._records.runs if run.run == number]
        return any(run.device and run.device.name == self._driver_device for run in runs)
