"""The loop of a study, and what opens it; see `loop` for the loop."""

from __future__ import annotations

from gmsearch.driver.loop import Driver
from gmsearch.driver.observer import Observer
from gmsearch.driver.remeasure import Measures
from gmsearch.driver.study import open_study, require_same_data, start_record

__all__ = [
    "Driver",
    "Measures",
    "Observer",
    "open_study",
    "require_same_data",
    "start_record",
]
