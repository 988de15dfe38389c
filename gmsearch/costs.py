"""Static cost of any candidate, the constraints on it, and matching it to the baseline's.

Everything here is known before training. The built-in networks are counted in closed form; torch
is loaded only for a network without one, a model of timm or a plugin's, which is measured on
shapes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmsearch.experiment import Arm
from gmsearch.matching import matched
from gmsearch.networks import (
    FAMILIES,
    Candidate,
    Cost,
    cost,
    is_counted,
    plugin_sources,
)
from gmsearch.networks.count import counted_once
from gmsearch.space import Space


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Classification task of a network: number of classes, and side of the images in pixels."""

    classes: int
    resolution: int


def static_cost(candidate: Candidate, task: Task) -> Mapping[str, float]:
    """Return the static metrics of a candidate by name, such as `flops`.

    Raises:
        FieldError: timm has no model of that name, or it does not take images of this size.
    """
    return counted(candidate, task)[0].metrics()


def uncounted_operators(candidate: Candidate, task: Task) -> list[str]:
    """Return the operators that the static cost of a candidate leaves out, sorted."""
    return sorted(counted(candidate, task)[1])


@counted_once
def counted(candidate: Candidate, task: Task) -> tuple[Cost, Mapping[str, int]]:
    """Return the cost of a candidate, and how often each operator it leaves out occurs.

    Raises:
        FieldError: timm has no model of that name, it does not take images of this size, or a
            plugin's network cannot be built or does not return logits.
    """
    if is_counted(candidate):
        return cost(candidate, num_classes=task.classes, resolution=task.resolution), {}
    # Deferred, since torch is loaded only for a network without a closed form.
    from gmsearch.measured_cost import measured_cost

    model = built(candidate, task)
    total, unknown = measured_cost(model, task.resolution)
    return total, {name.removeprefix("aten::"): count for name, count in unknown.items()}


def built(candidate: Candidate, task: Task) -> Any:
    """Return the module of a candidate; that of a plugin's family is run on two images.

    Raises:
        FieldError: it cannot be built, or a plugin's network does not return logits.
    """
    from gmsearch.models import build
    from gmsearch.plugins import entered_part
    from gmsearch.plugins.modules import require_logits

    model = build(candidate, num_classes=task.classes, seed=0, resolution=task.resolution)
    row = FAMILIES[candidate.family]
    if row.source is not None:
        entered = entered_part(("family", candidate.family))
        file = entered[1] if entered is not None else None
        size = {"num_classes": task.classes, "resolution": task.resolution}
        require_logits(model, row.text, file, **size)
    return model


def require_buildable(candidate: Candidate, task: Task) -> None:
    """Raise FieldError where a network with parts of plugins or of timm cannot be built.

    The built-in networks are known to be buildable, and are not tried.
    """
    if not is_counted(candidate):
        counted(candidate, task)
    elif plugin_sources(candidate):
        built(candidate, task)


def broken_constraints(space: Space, arm: Arm, task: Task) -> list[str]:
    """Return the static constraints that `arm` breaks, as text; `match.<metric>` if unmatched."""
    if space.match is None and not any(c.static for c in space.constraints):
        return []
    own = static_cost(arm.candidate, task)
    base = _baseline_cost(space, task)
    broken = [
        str(c)
        for c in space.constraints
        if c.static and c.excess(own[c.metric], base[c.metric] if base else None) > 0
    ]
    if space.match is not None and mismatch(space, arm, task) > 0:
        broken.append(f"match.{space.match.metric}")
    return broken


def matched_arm(space: Space, arm: Arm, task: Task) -> Arm:
    """Return `arm` scaled to the baseline's cost, or to the nearest cost that could be reached.

    An arm without the field that `match` scales is returned as it is.
    """
    match, candidate, base = space.match, arm.candidate, _baseline_cost(space, task)
    if match is None or base is None or not is_counted(candidate):
        return arm
    if not hasattr(candidate, match.by):
        return arm

    def measure(candidate: Candidate) -> float:
        # Not through the cache: intermediate candidates are never needed again.
        total = cost(candidate, num_classes=task.classes, resolution=task.resolution)
        return total.metrics()[match.metric]

    scaled = matched(candidate, match, base[match.metric], measure)
    return dataclasses.replace(arm, candidate=scaled)


def mismatch(space: Space, arm: Arm, task: Task) -> float:
    """Return by how much the cost of `arm` exceeds the tolerance of `match`; <= 0 if matched."""
    match, base = space.match, _baseline_cost(space, task)
    if match is None or base is None:
        return 0.0
    target = base[match.metric]
    return abs(static_cost(arm.candidate, task)[match.metric] - target) - match.tolerance * target


def _baseline_cost(space: Space, task: Task) -> Mapping[str, float] | None:
    if space.baseline is None:
        return None
    return static_cost(space.arm(space.baseline).candidate, task)
