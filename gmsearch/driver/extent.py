"""What is too large to be listed, held in memory or trained on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from gmsearch.costs import Task, static_cost
from gmsearch.environment import memory_bytes
from gmsearch.errors import InputError
from gmsearch.experiment import Arm
from gmsearch.space import METHODS, Space
from gmsearch.wording import gigabytes, magnitude

MAX_LISTED = 1_000_000
"""Most candidates of a grid or an ablation, which are listed and trained one and all."""
MAX_CHOICES = 10_000
"""Most combinations of the values of `tune`, which are tried for every arm."""


def require_listable(space: Space, path: Path) -> None:
    """Raise InputError for a list of candidates that no run would come to the end of."""
    method = space.search.method
    count = _listed(space) if METHODS[method].enumerates else 0
    if count > MAX_LISTED:
        raise InputError(
            f"{path}: search.method: {method} trains every candidate, expected at most "
            f"{MAX_LISTED:,}, got {magnitude(count)}; narrow the domains, give them a step, or "
            "take `method: random` with `candidates: N`"
        )
    choices = 0 if space.tune is None else math.prod(map(len, space.tune.values.values()))
    if choices > MAX_CHOICES:
        raise InputError(
            f"{path}: tune: expected at most {MAX_CHOICES:,} combinations of the values, got "
            f"{magnitude(choices)}; list fewer"
        )


def _listed(space: Space) -> int:
    """Return how many assignments are listed, at least for an ablation; in closed form."""
    if space.baseline is None or space.search.method != "ablation":
        return space.count() or 0
    changed = (p.domain.values() for p in space.parameters if p.path in space.baseline)
    return sum(map(_length, (values for values in changed if values is not None)))


def _length(values: Sequence[object]) -> int:
    """Return the length, also of a range that is longer than `len` allows."""
    if isinstance(values, range):
        return max(0, (values.stop - values.start + values.step - 1) // values.step)
    return len(values)


def require_batches_fit(space: Space, arms: Iterable[Arm], path: Path) -> None:
    """Raise InputError where the smallest batch of streamed images is larger than the memory."""
    side = getattr(space.data, "resolution", None)
    sizes = [arm.recipe.batch_size for arm in arms]
    if not space.data.streamed or side is None or not sizes:
        return
    needed = 3 * side**2 * min(sizes)
    if needed > memory_bytes():
        raise InputError(
            f"{path}: data.resolution: a batch of {min(sizes)} images of {side:,} pixels a side "
            f"takes {gigabytes(needed)}, and this machine has {gigabytes(memory_bytes())}; lower "
            "it, or train.batch_size"
        )


def memory_remarks(arms: Iterable[Arm], task: Task) -> list[str]:
    """Return a remark on networks whose weights and gradients are larger than the memory."""
    candidates = dict.fromkeys(arm.candidate for arm in arms)
    needed = [int(2 * 4 * static_cost(candidate, task)["params"]) for candidate in candidates]
    large = [size for size in needed if size > memory_bytes()]
    if not large:
        return []
    many = f"{len(large)} candidate{'s' if len(large) > 1 else ''}"
    remark = (
        f"model: weights and gradients take up to {gigabytes(max(large))}, and this machine has "
        f"{gigabytes(memory_bytes())} of memory ({many})"
    )
    return [remark]
