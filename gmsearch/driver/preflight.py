"""Checks before a study is opened: data, devices, and whether a run can work at all."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gmsearch.costs import Task, broken_constraints, counted, require_buildable
from gmsearch.data import left_out, load
from gmsearch.driver.extent import memory_remarks, require_batches_fit, require_listable
from gmsearch.environment import cpu_count, cpu_name, lacking
from gmsearch.errors import FieldError, InputError
from gmsearch.experiment import Arm, timed
from gmsearch.networks import is_counted
from gmsearch.space import Resources, Space

_ARMS_CHECKED = 100
_ARMS_DRAWN = 8


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """Properties of the data and the device that a run depends on, read once at its start."""

    data_identity: str
    data_identity_of: str
    """Source of the identity's digest: parameters, bytes, or paths and sizes."""
    mean: tuple[float, float, float]
    """Mean of the pixels per channel, in 0..1; `mean` and `std` normalise the images."""
    std: tuple[float, float, float]
    classes: int
    resolution: int
    train_images: int
    """Images that are trained on, without the holdout."""
    evaluation_images: int
    holdout_images: int
    left_out: Mapping[str, int]
    """Files beside the images that are not used, by reason."""
    device: str
    """A torch device string."""
    device_name: str
    """Name of the processor or GPU; latencies of two names are never mixed."""

    @property
    def task(self) -> Task:
        """Number of classes and image size, which is all that static cost depends on."""
        return Task(self.classes, self.resolution)


def inspect_run(space: Space, path: Path) -> RunContext:
    """Load the data (decoding it if necessary), find the device, and return their properties.

    Raises:
        DataError: the data set is missing or damaged.
        InputError: the file at `path` asks for something the data cannot provide, or for a GPU
            where there is none.
    """
    require_listable(space, path)
    try:
        data = load(space.data)
    except FieldError as error:
        raise InputError(f"{path}: data.{error}") from None
    try:
        space.bands.require_frequencies(data.resolution)
    except FieldError as error:
        raise InputError(f"{path}: bands.{error}") from None
    gpus = _gpus(space.resources)
    return RunContext(
        data_identity=data.identity,
        data_identity_of=data.identity_of,
        mean=data.mean,
        std=data.std,
        classes=len(data.classes),
        resolution=data.resolution,
        train_images=len(data.train.labels),
        evaluation_images=len(data.evaluation.labels),
        holdout_images=len(data.holdout.labels),
        left_out=left_out(space.data),
        device="cuda" if gpus else "cpu",
        device_name=gpus[0] if gpus else cpu_name(),
    )


def require_possible(space: Space, context: RunContext, path: Path) -> None:
    """Refuse a run that cannot work, before anything is written.

    Raises:
        InputError: the baseline breaks a static constraint, timm has no model of that name, the
            network of a plugin cannot be built or returns no logits, or this device cannot time or
            compile what the space requests.
    """
    _require_timings(space, context, path)
    if space.baseline is not None:
        broken = broken_constraints(space, space.arm(space.baseline), context.task)
        if broken:
            raise InputError(
                f"{path}: baseline: breaks {', '.join(broken)}; loosen the constraint, "
                "or choose another baseline"
            )
    arms = [*first_arms(space), *_drawn_arms(space)]
    require_batches_fit(space, arms, path)
    if any(arm.recipe.compile != "none" for arm in arms):
        missing = lacking("compiled", context.device)
        if missing is not None:
            raise InputError(f"{path}: train.compile: {missing}")
    for candidate in dict.fromkeys(arm.candidate for arm in arms):
        try:
            require_buildable(candidate, context.task)
        except FieldError as error:
            section = "data" if error.path == "resolution" else "model"
            raise InputError(f"{path}: {section}.{error}") from None


def first_arms(space: Space) -> list[Arm]:
    """Return the first 100 arms of a space; an empty list if it is infinite."""
    if space.count() is None:
        return []
    return [arm for _, arm in itertools.islice(space.arms(), _ARMS_CHECKED)]


def _drawn_arms(space: Space) -> list[Arm]:
    """Return some random arms of a space that has more than its first 100."""
    if space.at_most(_ARMS_CHECKED):
        return []
    return [arm for _, arm in space.some(_ARMS_DRAWN, random.Random(0))]


def data_remarks(space: Space, arms: Iterable[Arm], context: RunContext) -> list[str]:
    """Return remarks on files that are left out, and on batches that the images cannot fill."""
    remarks = []
    if context.left_out:
        counts = sorted(context.left_out.items(), key=lambda item: -item[1])
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts)
        files = sum(context.left_out.values())
        remarks.append(f"data: files left out: {files} ({reasons})")
    tried = () if space.tune is None else space.tune.values.get("batch_size", ())
    most = max([*(arm.recipe.batch_size for arm in arms), *map(int, tried)], default=0)
    if most > context.train_images:
        remarks.append(
            f"train.batch_size {most} is larger than the {context.train_images} training images "
            f"(holdout apart); such a batch has {context.train_images}"
        )
    return remarks


def network_remarks(arms: Sequence[Arm], context: RunContext) -> list[str]:
    """Return remarks on unusual networks among some arms, most frequent first.

    Reports networks larger than the memory, kernels larger than their feature map, and operators
    that no static metric counts; each remark ends with the number of candidates it applies to.
    """
    counts: collections.Counter[str] = collections.Counter()
    for candidate in dict.fromkeys(arm.candidate for arm in arms):
        counts.update(set(candidate.kernel_warnings(context.resolution)))
        if not is_counted(candidate):
            unknown = counted(candidate, context.task)[1]
            counts.update(f"the static cost leaves out {operator}" for operator in unknown)
    return [
        *memory_remarks(arms, context.task),
        *(
            f"{remark} ({count} candidate{'s' if count > 1 else ''})"
            for remark, count in counts.most_common()
        ),
    ]


def worker_count(resources: Resources, requested: int | None) -> int:
    """Return how many trials run at once: `requested`, or as many as fit on the machine.

    Raises:
        InputError: the machine has no room for a single trial, or not for `requested`.
    """
    room = cpu_count() // resources.cpus
    if room == 0:
        raise InputError(
            f"resources.cpus is {resources.cpus}, but only {cpu_count()} are available; lower it"
        )
    if resources.gpus:
        room = min(room, int(len(_gpus(resources)) / resources.gpus))
    if requested is not None and requested > room:
        raise InputError(
            f"--workers {requested}: this machine has room for {room} trials at once; "
            f"lower it to {room}"
        )
    return room if requested is None else requested


def _require_timings(space: Space, context: RunContext, path: Path) -> None:
    for section, goals in (("objectives", space.objectives), ("constraints", space.constraints)):
        for goal in goals:
            metric, condition = timed(goal.metric) or ("", None)
            missing = condition and lacking(condition.mode, context.device)
            if metric == "peak_memory_mb" and context.device == "cpu":
                missing = "it is only measured on a GPU; set resources.gpus, or remove it"
            if missing:
                raise InputError(f"{path}: {section}.{goal.metric}: {missing}")


def _gpus(resources: Resources) -> list[str]:
    """Return the names of the GPUs; an empty list if a trial needs none (torch is not loaded).

    Raises:
        InputError: there are fewer GPUs than one trial needs.
    """
    if resources.gpus == 0:
        return []
    from gmsearch.runner import gpu_names

    names = gpu_names()
    if len(names) < resources.gpus:
        raise InputError(
            f"resources.gpus is {resources.gpus:g}, but torch finds {len(names)} GPUs here; "
            "set it to 0 to run on the CPU"
        )
    return names
