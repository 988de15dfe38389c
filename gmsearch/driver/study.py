"""Open the study of a space file: its folder, its frozen space, its ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gmsearch.driver.judge import Facts
from gmsearch.driver.loop import Driver, Watch
from gmsearch.environment import describe
from gmsearch.errors import StudyError
from gmsearch.ledger import Ledger, write_atomic
from gmsearch.space import Space, load_space

STUDIES = Path("studies")


@contextlib.contextmanager
def open_study(
    space: Space, facts: Facts, watch: Watch, *, engine: str, root: Path = STUDIES
) -> Iterator[Driver]:
    """Lock the study of `space`, take up its ledger and note this start in it.

    Raises:
        StudyError: the folder is locked, unwritable or damaged, or it belongs to a space that
            differs in what may not change; nothing is written then.
    """
    folder = root / space.study
    frozen = folder / "space.yaml"
    if frozen.exists():
        _require_compatible(space, load_space(frozen), folder)
    with Ledger.open(folder, space.study, space.digest) as ledger:
        source = space.source.encode()
        if not frozen.exists() or frozen.read_bytes() != source:
            write_atomic(frozen, source)
        driver = Driver(space, ledger, facts, watch, start=_start_record(space, facts, engine))
        try:
            yield driver
        finally:
            ledger.take_spool()


def _require_compatible(space: Space, before: Space, folder: Path) -> None:
    refused = [change for change in before.changes(space) if not change.allowed]
    if refused:
        named = "; ".join(f"{c.path} was {c.old}, is {c.new}" for c in refused)
        raise StudyError(
            f"{folder} holds trials of another space: {named}; "
            "rename `study` in the space file, or change these back"
        )


def _start_record(space: Space, facts: Facts, engine: str) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "engine": engine,
        "space": space.digest,
        "data": facts.data_identity,
        "images": {
            "resolution": facts.resolution,
            "evaluation": facts.evaluation_images,
            "holdout": facts.holdout_images,
        },
        "device": {"kind": facts.device, "name": facts.device_name},
        "threads": space.resources.cpus,
        **describe(),
    }
