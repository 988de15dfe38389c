"""All trials of a study as one tidy table, for your own analyses."""

from __future__ import annotations

import pandas as pd

from gmsearch.ledger import Study
from gmsearch.report.section import Section

_FIRST = ["key", "arm", "digest", "seed", "state", "failure", "attempt", "seconds"]


def trials_table(study: Study) -> pd.DataFrame:
    """Return a row per trial: identity, state, then the parameters and metrics by their names.

    What was not measured is missing (NaN), never zero. Metrics added later by `gmsearch measure`
    are columns like the others. Rows are in the order of the ledger.
    """
    rows = [
        {
            "key": trial.key,
            "arm": trial.arm,
            "digest": trial.digest,
            "seed": trial.seed,
            "state": str(trial.state),
            "failure": str(trial.failure) if trial.failure else None,
            "attempt": trial.attempt,
            "seconds": trial.seconds,
            **trial.params,
            **study.metrics(trial),
        }
        for trial in study.records.trials.values()
    ]
    return pd.DataFrame(rows, columns=None if rows else _FIRST)


def _csv(study: Study) -> str:
    return trials_table(study).to_csv(index=False)


TRIALS = Section(name="trials", facts=lambda report: report.study, csv=_csv)
