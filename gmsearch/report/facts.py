"""What a study found, as plain data: its arms with their values by seed, and how it was measured.

Nothing is drawn, rounded or tested here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmsearch.experiment import timed
from gmsearch.metrics import HOLDOUT, is_trained
from gmsearch.report.metrics import Metric, is_band, metric
from gmsearch.space import Space
from gmsearch.stats import Summary, summarise


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """One number of a timing, with the 95 % interval of its blocks; of a memory, none."""

    value: float
    low: float | None
    high: float | None
    disturbed: bool
    """Whether the reference drifted or other processes were at work meanwhile."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """The timings that may be compared: those measured in the way of the latest."""

    device: str
    protocol: Mapping[str, Any]
    by_candidate: Mapping[str, Mapping[str, Timed]]
    """Digest of the candidate -> metric -> what was measured."""
    otherwise: int
    """How many timings were left out, because they were measured in another way."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """The images behind the numbers; what the records do not say is None."""

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
    """The values alone, where `StudyFacts.heading` holds the names; else the label."""
    baseline: bool
    activation: str | None
    keys: Mapping[int, str]
    """Seed -> key of the trial."""
    trials: Mapping[int, Mapping[str, float]]
    """Seed -> metrics."""
    tuned: Mapping[str, float]
    """The training values chosen for it, by field; empty where none are tuned."""
    scaled: tuple[float, ...]
    """The field that was scaled to match a cost; empty where none is matched."""
    timings: Mapping[str, Timed]
    """Metric -> what timing the candidate gave."""

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
        found = self.summary(name)
        return None if found is None else found.mean

    def cost(self, name: str) -> float | None:
        """Return what belongs to the candidate, not to a seed: a static metric or a timed one."""
        if timed(name):
            return self.timings[name].value if name in self.timings else None
        return next(iter(self.by_seed(name).values()), None)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How many trials or arms ended in one way, and why."""

    state: str
    count: int
    of: str
    """trials, timings or arms."""
    reason: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """All that the tables and figures of one study are made from."""

    name: str
    about: str
    space: Space
    data: DataFacts
    heading: str
    """What stands above the short labels: the parameters' names, where all arms share them."""
    arms: tuple[ArmFacts, ...]
    """The baseline first, then in the order they were asked for; also those without a trial that
    completed."""
    timings: Timings | None
    outcomes: tuple[Outcome, ...]
    uncounted: Mapping[str, int]
    """Operator -> number of arms asked for whose static metrics leave it out."""
    repeated: int
    """Trials left out because the same arm and seed was measured again, on other data or another
    device."""

    @property
    def baseline(self) -> ArmFacts | None:
        """The arm the others are compared with, if it has a trial that completed."""
        return next((arm for arm in self.arms if arm.baseline and arm.trials), None)

    @property
    def measured(self) -> tuple[ArmFacts, ...]:
        """The arms with at least one trial that completed."""
        return tuple(arm for arm in self.arms if arm.trials)

    @property
    def later_bands(self) -> tuple[str, ...]:
        """What was measured of bands beyond the space's own, by `gmsearch measure`."""
        names = {name for arm in self.arms for metrics in arm.trials.values() for name in metrics}
        beyond = names - set(self.space.bands.metrics)
        return tuple(sorted(filter(is_band, beyond), key=_place))

    def metric(self, name: str) -> Metric:
        """Return how a metric is shown in this study."""
        return metric(name, self.space.objectives, self.data.evaluation)

    def chosen_by(self, name: str) -> str:
        """Return the metric that decides where `name` is asked for.

        A method that selects by what it saw is shown the holdout; its front is judged there.
        """
        return HOLDOUT + name if self.space.search.selects and is_trained(name) else name


def _place(name: str) -> tuple[str, list[float], bool, str]:
    """Return where a band stands: by protocol, then by radius, low before high."""
    bare, _, protocol = name.partition("[")
    side, _, radii = bare.partition("@")
    return protocol, [float(radius) for radius in radii.split(":") if radius], side == "high", side
