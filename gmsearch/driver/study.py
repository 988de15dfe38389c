"""Open the study of a space file: lock its folder, check its frozen space, read its ledger."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gmsearch import plugins
from gmsearch.driver.loop import Driver
from gmsearch.driver.observer import Observer
from gmsearch.driver.preflight import RunContext
from gmsearch.environment import describe
from gmsearch.errors import InputError, StudyError
from gmsearch.experiment import ImagesOnDisk
from gmsearch.ledger import STUDIES, Ledger, Study, write_atomic, writing
from gmsearch.plain import plain
from gmsearch.records import DevicePart, ImagesPart, RunRecord
from gmsearch.search import Scheduler
from gmsearch.space import Space
from gmsearch.spacefile import load_space
from gmsearch.status.summary import keep_summary

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_study(
    space: Space,
    context: RunContext,
    observer: Observer,
    *,
    engine: str,
    root: Path = STUDIES,
    scheduler: Scheduler | None = None,
) -> Iterator[Driver]:
    """Lock the study folder, load its ledger and record this run.

    Raises:
        StudyError: the folder is locked, unwritable or damaged, or it belongs to a space or to
            data that differ in what may not change; nothing is written then.
    """
    if scheduler is not None and not context.holdout_images:
        raise InputError(
            "early stopping compares trials on the holdout, but data.holdout is 0; raise it"
        )
    folder = root / space.study
    frozen = folder / "space.yaml"
    require_same_plugins(space, root)
    if frozen.exists():
        # Data are compared by identity, wherever they are.
        data = space.data
        images = Path(data.root) if isinstance(data, ImagesOnDisk) else None
        _require_compatible(space, load_space(frozen, data_root=images), folder)
    with Ledger.open(folder, space.study, space.digest) as ledger:
        require_same_data(ledger, context)
        for name, content in plugins.kept_files(_plugins_of(space)):
            if not (folder / name).exists() or (folder / name).read_bytes() != content:
                with writing(folder / name):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomic(folder / name, content)
        source = space.source.encode()
        if not frozen.exists() or frozen.read_bytes() != source:
            write_atomic(frozen, source)
        start = run_record(ledger, space, context, engine)
        driver = Driver(space, ledger, context, observer, start=start, scheduler=scheduler)
        try:
            yield driver
        finally:
            ledger.take_spool()
            keep_summary(
                Study(folder, space, ledger.records),
                ended=driver.finished and driver.stopped is None,
            )


def require_same_plugins(space: Space, root: Path = STUDIES) -> None:
    """Raise StudyError if a plugin in use has changed since the study of a space began."""
    folder = root / space.study
    if (folder / "space.yaml").exists():
        plugins.require_unchanged(folder, _plugins_of(space), _names_used(space))


def changed_plugins(
    study: str, files: Mapping[str, Path], root: Path = STUDIES
) -> Mapping[str, Path]:
    """Return those of a space's plugins that its study, if it began, does not keep as they are.

    None of them is executed.

    Args:
        study: the study's name.
        files: the plugins' files by reference.
        root: folder of the studies.

    Raises:
        StudyError: where the study depends on one that has changed.
    """
    folder = root / study
    changed = plugins.changed_plugins(folder, files)
    frozen = folder / "space.yaml"
    if changed and frozen.exists():
        plugins.require_unused(folder, changed, _names_used(load_space(frozen, data_root=folder)))
        plugins.clear()  # what the frozen space declared
    return changed


def _plugins_of(space: Space) -> list[plugins.Plugin]:
    return [plugin for file in space.plugins if (plugin := plugins.loaded(file)) is not None]


def _names_used(space: Space) -> set[str]:
    """Return the names of activations, products, families and data that a space may use."""
    leaves: list[Any] = [space.meaning()["model"]]
    names = {space.data.name}
    while leaves:
        leaf = leaves.pop()
        if isinstance(leaf, Mapping):
            leaves += leaf.values()
        elif isinstance(leaf, list):
            leaves += leaf
        elif isinstance(leaf, str):
            names.add(leaf)
    return names


def _require_compatible(space: Space, before: Space, folder: Path) -> None:
    changes = before.changes(space)
    named = "; ".join(f"{c.path} was {c.old}, is {c.new}" for c in changes if not c.allowed)
    if named:
        raise StudyError(
            f"{folder} contains trials of another space: {named}; "
            "rename `study` in the space file, or change these back"
        )
    for change in changes:
        _log.warning(
            "%s: resuming with a changed %s: %s -> %s", folder, change.path, change.old, change.new
        )


def require_same_data(ledger: Ledger, context: RunContext) -> None:
    """Raise StudyError if the trials of a study were trained on other data."""
    for run in ledger.records.runs:
        if run.data not in ("", context.data_identity):
            raise StudyError(
                f"{ledger.folder} contains trials on other data (identity {run.data}, now "
                f"{context.data_identity}); rename `study` in the space file, or restore the data"
            )


def run_record(ledger: Ledger, space: Space, context: RunContext, engine: str) -> RunRecord:
    """Return the record of a run that starts now."""
    return RunRecord(
        run=len(ledger.records.runs) + 1,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=engine,
        space=space.digest,
        data=context.data_identity,
        images=ImagesPart(
            identity_of=context.data_identity_of,
            mean=context.mean,
            std=context.std,
            resolution=context.resolution,
            evaluation=context.evaluation_images,
            holdout=context.holdout_images,
            classes=context.classes,
        ),
        plugins=tuple(plain(space.plugins)),
        device=DevicePart(kind=context.device, name=context.device_name),
        threads=space.resources.cpus,
        extra=describe(),
    )
