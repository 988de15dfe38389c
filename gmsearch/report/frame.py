"""All trials of a study as one tidy pandas table, for analyses of one's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gmsearch import ledger
from gmsearch.spacefile import load_space

_FIRST = ["key", "arm", "digest", "seed", "state", "failure", "attempt", "seconds"]


def trials(folder: Path) -> pd.DataFrame:
    """Return a row per trial: identity, state, then the parameters and metrics by their names.

    What was not measured is missing (NaN), never zero. What was measured later, by
    `gmsearch measure`, stands beside what the trial measured itself. Rows stand in the order of
    the ledger.

    Args:
        folder: a study's folder, such as `studies/gate_ablation`.

    Raises:
        StudyError: there is no ledger, or it is damaged.
    """
    records = ledger.read(folder)
    # No image is needed, so that it does not matter where they are by now.
    bands = load_space(records.space_path, data_root=folder).bands
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
            **records.metrics(trial, bands),
        }
        for trial in records.trials.values()
    ]
    return pd.DataFrame(rows, columns=None if rows else _FIRST)
