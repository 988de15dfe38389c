"""All trials of a study as one tidy pandas table, for analyses of one's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gmsearch import ledger

_FIRST = ["key", "arm", "digest", "seed", "state", "failure", "attempt", "seconds"]


def trials(folder: Path) -> pd.DataFrame:
    """Return a row per trial: identity, state, then the parameters and metrics by their names.

    What was not measured is missing (NaN), never zero. Rows stand in
    the order of the ledger.

    Args:
        folder: a study's folder, such as `studies/gate_ablation`.

    Raises:
        StudyError: there is no ledger, or it is damaged.
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
            **trial.metrics,
        }
        for trial in ledger.read(folder).trials.values()
    ]
    return pd.DataFrame(rows, columns=None if rows else _FIRST)
