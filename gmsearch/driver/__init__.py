"""The loop of a study, and what opens it; see `loop` for the loop."""

from __future__ import annotations

from gmsearch.driver.judge import Facts, counted, infeasible_by_cost, matched_arm, static_cost
from gmsearch.driver.loop import Driver
from gmsearch.driver.observer import Observer
from gmsearch.driver.remeasure import Measures
from gmsearch.driver.study import STUDIES, open_study, require_same_data, start_record

__all__ = [
    "STUDIES",
    "Driver",
    "Facts",
    "Measures",
    "Observer",
    "counted",
    "infeasible_by_cost",
    "matched_arm",
    "open_study",
    "require_same_data",
    "start_record",
    "static_cost",
]
