"""All trials of a study as one tidy table, for your own analyses."""

from __future__ import annotations

import pandas as pd

from gmsearch.ledger import Study
from gmsearch.records import RunRecord
from gmsearch.report.section import Section
from gmsearch.report.tables import ARM_PREFIX, TRIAL_PREFIX

_FIRST = [
    *("key", "arm", "digest", "seed", "state", "failure", "error", "attempt"),
    *("run", "started", "host", "device", "seconds"),
]
"""Columns of identity; `started` and `host` are those of the run that trained it."""


def trials_table(study: Study) -> pd.DataFrame:
    """Return a row per trial: identity, state, then the parameters and metrics by their names.

    What was not measured is missing (NaN), never zero. Metrics added later by `gmsearch measure`
    are columns like the others. Rows are in the order of the ledger.
    """
    runs = {run.run: run for run in study.records.runs}
    rows = [
        {
            "key": trial.key,
            "arm": trial.arm,
            "digest": trial.digest,
            "seed": trial.seed,
            "state": str(trial.state),
            "failure": str(trial.failure) if trial.failure else None,
            "error": _last_line(trial.error),
            "attempt": trial.attempt,
            "run": trial.run,
            "started": runs[trial.run].started if trial.run in runs else None,
            "host": _host(runs.get(trial.run)),
            "device": trial.device_name,
            "seconds": trial.seconds,
            **trial.params,
            **study.metrics(trial),
        }
        for trial in study.records.trials.values()
    ]
    return pd.DataFrame(rows, columns=None if rows else _FIRST)


def _last_line(error: str | None) -> str | None:
    """Return what an error says, without its traceback."""
    return (error or "").strip().rpartition("\n")[2] or None


def _host(run: RunRecord | None) -> str | None:
    host = run.extra.get("host") if run is not None else None
    return host if isinstance(host, str) else None


def _csv(study: Study) -> str:
    table = trials_table(study)
    for column, prefix in (("key", TRIAL_PREFIX), ("arm", ARM_PREFIX), ("digest", ARM_PREFIX)):
        table[column] = prefix + table[column].astype(str)
    return table.to_csv(index=False)


TRIALS = Section(
    name="trials",
    flags=("pareto", "ablation", "curves"),
    facts=lambda report: report.study,
    csv=_csv,
)
