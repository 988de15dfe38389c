"""The sections of a report, one a file, in the order they are printed."""

from __future__ import annotations

from typing import Any

from gmsearch.report.section import Section
from gmsearch.report.sections.ablation import ABLATION
from gmsearch.report.sections.curves import CURVES
from gmsearch.report.sections.endings import ENDINGS
from gmsearch.report.sections.front import FRONT
from gmsearch.report.sections.protocol import PROTOCOL
from gmsearch.report.sections.trials import TRIALS

SECTIONS: tuple[Section[Any], ...] = (
    ENDINGS,
    FRONT,
    ABLATION,
    CURVES,
    PROTOCOL,
    TRIALS,
)

FLAGS = tuple(dict.fromkeys(flag for section in SECTIONS for flag in section.flags))
"""The flags of `gmsearch report` that ask for sections."""
