"""Parquet files of a split, in the layouts that the Hugging Face hub gives them.

In the root, its folder `data` or the folder of a configuration such as `default`: `train.parquet`,
shards `train-*.parquet`, or a folder `train` of files.
"""

from __future__ import annotations

import re
from pathlib import Path

from gmsearch.data.files import exists, hidden, require_targets
from gmsearch.data.source import EVALUATION_NAMES, REMEDY, root_folder
from gmsearch.errors import DataError

_SHOWN = 3


def split_paths(root: str) -> tuple[list[Path], list[Path]]:
    """Return the files of the training and of the evaluation split, in their order.

    Raises:
        DataError: there are none, or not all of them.
    """
    folder = root_folder(root)
    train = _paths(folder, "train")
    if not train:
        raise DataError(
            f"{root} contains neither train.parquet nor shards of it (train-*.parquet, "
            f"train/*.parquet){_found(folder)}"
        )
    for name in EVALUATION_NAMES:
        if evaluation := _paths(folder, name):
            return train, evaluation
    names = f"{', '.join(EVALUATION_NAMES[:-1])} or {EVALUATION_NAMES[-1]}"
    raise DataError(f"{root} contains no parquet file {names}{_found(folder)}")


def _found(root: Path) -> str:
    """Return the end of a message: what is there, and the remedy."""
    found = [str(path.relative_to(root)) for path in sorted(root.rglob("*.parquet"))]
    if not found:
        return f"; add one, or {REMEDY}"
    more = ", …" if len(found) > _SHOWN else ""
    return f", but {', '.join(found[:_SHOWN])}{more}; rename these, or {REMEDY}"


def _paths(root: Path, split: str) -> list[Path]:
    for folder in (root, root / "data"):
        if paths := _in(folder, split):
            return paths
    folders = sorted(p for p in root.iterdir() if not hidden(p.name) and p.is_dir())
    found = [(folder, paths) for folder in folders if (paths := _in(folder, split))]
    if len(found) > 1:
        names = ", ".join(folder.name for folder, _ in found)
        raise DataError(
            f"{root} contains the {split} split of several configurations ({names}); set "
            "data.root to the folder of one"
        )
    return found[0][1] if found else []


def _in(folder: Path, split: str) -> list[Path]:
    if exists(whole := folder / f"{split}.parquet"):
        return [whole]
    shards = sorted(folder.glob(f"{split}-*.parquet")) or sorted(
        (folder / split).glob("*.parquet")
    )
    shards = [shard for shard in shards if not hidden(shard.name)]
    require_targets([shard for shard in shards if shard.is_symlink() and not shard.exists()])
    announced = _announced(shards[-1].stem) if shards else None
    if announced is not None and announced != len(shards):
        raise DataError(
            f"{folder} contains {len(shards)} of {announced} shards of the {split} split; "
            "download the others"
        )
    return shards


def _announced(stem: str) -> int | None:
    """Return how many shards there should be by the name of the last; None if it does not say."""
    if announced := re.search(r"-of-(\d+)", stem):
        return int(announced[1])
    return int(stem) + 1 if re.fullmatch(r"\d{1,6}", stem) else None
