"""A study as its folder holds it: the space and the records, read once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmsearch.ledger.files import read_history
from gmsearch.ledger.reader import Records, read_records
from gmsearch.records import TrialRecord
from gmsearch.space import Space


@dataclasses.dataclass(frozen=True, slots=True)
class Study:
    """Space and records of one study at one moment, the source of everything shown of it."""

    folder: Path
    space: Space
    records: Records

    def metrics(self, trial: TrialRecord) -> Mapping[str, float]:
        """Return all metrics of a trial, including those measured later; see `Records.metrics`."""
        return self.records.metrics(trial, self.space.bands)

    def history(self, trial: TrialRecord) -> dict[str, Any] | None:
        """Return the curves per epoch of a trial; None if it has none.

        Raises:
            StudyError: the file is damaged.
        """
        return read_history(self.folder, trial.key)


def read_study(folder: Path) -> Study:
    """Read the space and the ledger of the study in `folder`, without locking it.

    Images are not read, so it does not matter where they are now.

    Raises:
        StudyError: there is no ledger, or it is damaged or was written in another schema.
        InputError: the frozen space file cannot be read.
    """
    # Deferred, since pydantic and ruamel are not needed by the workers that write records.
    from gmsearch.spacefile import load_space

    records = read_records(folder)
    return Study(folder, load_space(records.space_path, data_root=folder), records)
