"""The facts of a study as plain data: its arms with their values by seed, and the protocol.

Nothing is drawn, rounded or tested here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmsearch.experiment import timed
from gmsearch.metrics import is_trained
from gmsearch.plain import Value
from gmsearch.report.shown import ShownMetric, is_band, shown_metric
from gmsearch.space import Space
from gmsearch.stats import Summary, summarise


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """One value of a timing with the 95 % interval over its blocks; memory has no interval."""

    value: float
    low: float | None
    high: float | None
    disturbed: bool
    """Whether the reference drifted or other processes ran at the same time."""
    ratio: float | None = None
    """A latency as a multiple of the reference network's, timed alternately with it."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ComparableTimings:
    """The timings that may be compared: those with the protocol of the latest."""

    device: str
    protocol: Mapping[str, Any]
    by_candidate: Mapping[str, Mapping[str, Timed]]
    """Digest of the candidate -> metric -> value."""
    otherwise: int
    """Number of timings left out because their protocol differs."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """The images behind the numbers; None for what the records do not state."""

    name: str
    synthetic: bool
    resolution: int | None
    evaluation: int | None
    """Images of the evaluation split."""
    holdout: int | None
    """Images of the holdout of the training split."""
    chance: float | None
    """Share of the most frequent class of the evaluation split."""
    identity: str | None
    identity_of: str | None
    """What the identity is a digest of, such as `bytes`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ArmFacts:
    """One arm and its COMPLETE trials, by seed."""

    digest: str
    label: str
    """Names and values of its parameters."""
    short: str
    """The values only, if `StudyFacts.heading` holds the names; else the label."""
    params: Mapping[str, Value]
    """Path of each parameter -> value."""
    baseline: bool
    activation: str | None
    keys: Mapping[int, str]
    """Seed -> key of the trial."""
    trials: Mapping[int, Mapping[str, float]]
    """Seed -> metrics."""
    tuned: Mapping[str, float]
    """The training values tuned for it, by field; empty if nothing is tuned."""
    scaled: tuple[float, ...]
    """The field that was scaled to match a cost; empty if nothing is matched."""
    timings: Mapping[str, Timed]
    """Metric -> value from timing the candidate."""

    def by_seed(self, name: str) -> dict[int, float]:
        """Return seed -> value of a metric, for the seeds that have it."""
        return {seed: m[name] for seed, m in self.trials.items() if name in m}

    def summary(self, name: str) -> Summary | None:
        """Return mean, sd and n of a metric; a timed one has n 1 and no sd; None if unmeasured."""
        if not is_trained(name):
            value = self.cost(name)
            return None if value is None else Summary(mean=value, sd=None, n=1)
        values = self.by_seed(name)
        return summarise(list(values.values())) if values else None

    def mean(self, name: str) -> float | None:
        """Return the mean over the seeds, None where it was not measured."""
        summary = self.summary(name)
        return None if summary is None else summary.mean

    def cost(self, name: str) -> float | None:
        """Return a static or timed metric, which belongs to the candidate and not to a seed."""
        if timed(name):
            return self.timings[name].value if name in self.timings else None
        return next(iter(self.by_seed(name).values()), None)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How many trials or arms ended in one way, and why."""

    state: str
    count: int
    of: str
    """What is counted: trials, timings or arms."""
    reason: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PluginFacts:
    """One plugin of a study, from what the study recorded of it."""

    name: str
    sha256: str
    parts: tuple[str, ...]
    """What it registers, such as `metric ece`."""
    missing: bool
    """Whether a file of the study's copy is missing."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """All facts of one study, for its tables and figures."""

    name: str
    about: str
    space: Space
    data: DataFacts
    heading: str
    """Heading of the short labels: the parameters' names, if all arms share them."""
    arms: tuple[ArmFacts, ...]
    """The baseline first, then in the order of the proposals, including arms without a COMPLETE
    trial."""
    timings: ComparableTimings | None
    endings: tuple[Ending, ...]
    uncounted: Mapping[str, int]
    """Operator -> number of arms whose static metrics leave it out."""
    plugins: tuple[PluginFacts, ...]
    repeated: int
    """Number of trials replaced by a later one of the same arm and seed, on other data or another
    device."""
    unfinished: str | None
    """How far the study is, such as `11 of 56 trials, interrupted`; None once it is finished."""
    software: tuple[str, ...]
    """Versions of what the latest trials were made with, such as `torch 2.13.0`."""
    mixed: tuple[str, ...]
    """In what the trials were not made alike, such as `torch 2.11.0 and 2.13.0`."""

    @property
    def baseline(self) -> ArmFacts | None:
        """The arm the others are compared with, if it has a trial that completed."""
        return next((arm for arm in self.arms if arm.baseline and arm.trials), None)

    @property
    def measured(self) -> tuple[ArmFacts, ...]:
        """The arms with at least one trial that completed."""
        return tuple(arm for arm in self.arms if arm.trials)

    @property
    def at_chance(self) -> tuple[ArmFacts, ...]:
        """The arms whose accuracy guessing the most frequent class could reach.

        That is the share of that class plus two standard errors of a share over so many images.
        """
        chance = self.data.chance
        if chance is None:
            return ()
        error = (
            (chance * (1 - chance) / self.data.evaluation) ** 0.5 if self.data.evaluation else 0
        )
        return tuple(
            arm
            for arm in self.measured
            if (mean := arm.mean("top1")) is not None and mean <= chance + 2 * error
        )

    @property
    def later_bands(self) -> tuple[str, ...]:
        """The band metrics beyond the space's own, added by `gmsearch measure`."""
        names = {name for arm in self.arms for metrics in arm.trials.values() for name in metrics}
        beyond = names - set(self.space.bands.metrics)
        return tuple(sorted(filter(is_band, beyond), key=_band_order))

    def metric(self, name: str) -> ShownMetric:
        """Return how a metric is shown in this study."""
        return shown_metric(name, self.space.objectives, self.data.evaluation)

    def chosen_by(self, name: str) -> str:
        """Return the metric that decides a front over `name`.

        After a search that is the metric on the holdout, which the search selected by.
        """
        return self.space.search.judged_by(name)


def _band_order(name: str) -> tuple[str, list[float], bool, str]:
    """Return a sort key of bands: by protocol, then by radius, low before high."""
    bare, _, protocol = name.partition("[")
    side, _, radii = bare.partition("@")
    return protocol, [float(radius) for radius in radii.split(":") if radius], side == "high", side
