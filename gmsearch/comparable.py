"""Which arms can be compared, and over which seeds: a seed changes a score more than most arms do.

The same rule serves the front, the tables, the live view and the list of studies. A sampler needs
none: it is told of arms with all their seeds only.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Collection, Mapping
from typing import Generic, Literal, TypeVar

import numpy as np

from gmsearch.stats import summarise

Arm = TypeVar("Arm")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparable(Generic[Arm]):
    """The arms that can be compared, and how."""

    basis: Literal["equal", "shared", "adjusted"]
    """equal: all have the same seeds; shared: each is judged by the seeds that all have;
    adjusted: they share too few, and means are adjusted for the seeds."""

    seeds: Mapping[Arm, tuple[int, ...]]
    """The seeds that each arm is judged by."""

    had: tuple[int, int]
    """Smallest and largest number of seeds that these arms have."""

    left_out: Mapping[Arm, str]
    """Arms that cannot be compared with these, and why."""

    @property
    def fair(self) -> bool:
        """Whether all are judged by the same seeds, so that a best one can be named."""
        return self.basis != "adjusted"

    def means(self, values: Mapping[Arm, Mapping[int, float]]) -> dict[Arm, float]:
        """Return the mean of each arm, comparable with the others.

        Args:
            values: arm -> seed -> value; has every seed that an arm is judged by.
        """
        if self.fair:
            return {
                arm: summarise([values[arm][seed] for seed in seeds]).mean
                for arm, seeds in self.seeds.items()
            }
        return _adjusted(self.seeds, values)


def comparable(seeds: Mapping[Arm, Collection[int]]) -> Comparable[Arm]:
    """Return which of some arms can be compared, given the seeds that each has.

    Arms with fewer than half as many seeds as the median arm are left out. If the others do not
    have the same seeds, those that all have decide, if they are at least half of the median; else
    means are adjusted by least squares for effects of arm and seed, among the arms
    that are linked by common seeds.
    """
    having = {arm: tuple(sorted(own)) for arm, own in seeds.items() if own}
    left_out = {arm: "no seed has all objectives" for arm in seeds if arm not in having}
    middle = statistics.median([len(own) for own in having.values()] or [0])
    for arm, own in list(having.items()):
        if 2 * len(own) < middle:
            left_out[arm] = f"only {len(own)} of {middle:g} seeds"
            del having[arm]
    common = tuple(sorted(set.intersection(*map(set, having.values())))) if having else ()
    basis: Literal["equal", "shared", "adjusted"] = "equal"
    if any(own != common for own in having.values()):
        basis = "shared" if common and 2 * len(common) >= middle else "adjusted"
    if basis == "adjusted":
        linked = _linked(having)
        left_out |= {
            arm: "no seed in common with the others" for arm in having if arm not in linked
        }
        having = {arm: own for arm, own in having.items() if arm in linked}
    counts = [len(own) for own in having.values()] or [0]
    return Comparable(
        basis=basis,
        seeds={arm: common if basis == "shared" else own for arm, own in having.items()},
        had=(min(counts), max(counts)),
        left_out=left_out,
    )


def _linked(seeds: Mapping[Arm, Collection[int]]) -> set[Arm]:
    """Return the most arms that are linked by common seeds, directly or through other arms."""
    groups: list[tuple[set[int], set[Arm]]] = []
    for arm, own in seeds.items():
        joined, members = set(own), {arm}
        for group in [group for group in groups if group[0] & joined]:
            groups.remove(group)
            joined |= group[0]
            members |= group[1]
        groups.append((joined, members))
    return max((members for _, members in groups), key=len)


def _adjusted(
    seeds: Mapping[Arm, Collection[int]], values: Mapping[Arm, Mapping[int, float]]
) -> dict[Arm, float]:
    """Return the least-squares means of arms, for the average seed, of value = arm + seed."""
    columns = sorted({seed for own in seeds.values() for seed in own})
    place = {seed: j for j, seed in enumerate(columns)}
    table = np.full((len(seeds), len(columns)), np.nan)
    for i, (arm, own) in enumerate(seeds.items()):
        for seed in own:
            table[i, place[seed]] = values[arm][seed]
    present = ~np.isnan(table)
    weights = present / present.sum(axis=1, keepdims=True)
    filled = np.where(present, table, 0.0)
    centred = np.where(present, filled - (filled * weights).sum(axis=1, keepdims=True), 0.0)
    # The arms are eliminated: as many equations remain as there are seeds.
    matrix = np.diag(present.sum(axis=0)) - present.T.astype(float) @ weights
    effects = np.linalg.lstsq(matrix, centred.sum(axis=0), rcond=None)[0]
    effects -= effects.mean()
    means = ((filled - np.where(present, effects, 0.0)) * weights).sum(axis=1)
    return dict(zip(seeds, map(float, means), strict=True))
