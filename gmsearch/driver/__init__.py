"""The loop of a study and its parts; see `loop`."""

from __future__ import annotations

from gmsearch.driver.loop import Driver
from gmsearch.driver.observer import Observer
from gmsearch.driver.preflight import RunContext, inspect_run
from gmsearch.driver.remeasure import Remeasurer
from gmsearch.driver.study import open_study, require_same_data, run_record

__all__ = [
    "Driver",
    "Observer",
    "Remeasurer",
    "RunContext",
    "inspect_run",
    "open_study",
    "require_same_data",
    "run_record",
]
