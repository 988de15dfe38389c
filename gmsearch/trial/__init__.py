"""What a study is asked for and what it answers: objectives, constraints, plans and records.

Plain frozen data that crosses processes as JSON; nothing here runs anything.
"""

from __future__ import annotations

from gmsearch.trial.goals import (
    HOLDOUT,
    SPLIT_METRICS,
    STATIC_METRICS,
    Bound,
    Constraint,
    Objective,
)
from gmsearch.trial.plan import (
    MEASUREMENT_VERSION,
    Assignment,
    Plan,
    Progress,
    Value,
    plan_from,
    trial_key,
)
from gmsearch.trial.record import Failure, State, TrialRecord, record_from, record_of

__all__ = [
    "HOLDOUT",
    "MEASUREMENT_VERSION",
    "SPLIT_METRICS",
    "STATIC_METRICS",
    "Assignment",
    "Bound",
    "Constraint",
    "Failure",
    "Objective",
    "Plan",
    "Progress",
    "State",
    "TrialRecord",
    "Value",
    "plan_from",
    "record_from",
    "record_of",
    "trial_key",
]
