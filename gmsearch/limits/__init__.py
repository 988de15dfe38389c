"""Limits of dataclass fields, written in their annotations and checked when an instance is made.

    lr: Annotated[float, Limit(gt=0)] = 3e-3

`check` reads the annotations of a dataclass and reports every field that breaks them at once.
Pydantic reads the same annotations, so that a space file and Python code share one rule.
"""

from __future__ import annotations

from gmsearch.limits.annotations import (
    MAX_SEED,
    Length,
    Limit,
    Natural,
    NonNegative,
    OddKernel,
    OneOf,
    Positive,
    PositiveNumber,
    Probability,
    Seed,
    Share,
    Text,
)
from gmsearch.limits.checks import (
    assign,
    broken,
    check,
    field_errors,
    instance_from,
    normalise,
    raise_all,
    require,
)

__all__ = [
    "MAX_SEED",
    "Length",
    "Limit",
    "Natural",
    "NonNegative",
    "OddKernel",
    "OneOf",
    "Positive",
    "PositiveNumber",
    "Probability",
    "Seed",
    "Share",
    "Text",
    "assign",
    "broken",
    "check",
    "field_errors",
    "instance_from",
    "normalise",
    "raise_all",
    "require",
]
