"""Progress of a running study: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from gmsearch import experiment
from gmsearch.experiment import Plan, RemeasurePlan, TimingPlan, TrainingPlan, TuningPlan
from gmsearch.metrics import HOLDOUT, is_trained, lookup
from gmsearch.records import (
    MeasureRecord,
    State,
    TimingRecord,
    TrialRecord,
    TuningRecord,
    WorkRecord,
)
from gmsearch.space import Space

_SHOWN_METRICS = 4

_HEADS: Mapping[type[Plan], str] = {TimingPlan: "timed", RemeasurePlan: "measured"}


class ProgressLines:
    """Observer that prints a line for every finished plan: for logs, pipes and CI."""

    def __init__(self, space: Space, console: Console, workers: int) -> None:
        """Print on `console`; `workers` trials run at once."""
        self.space = space
        self.console = console
        self._clock = _Clock(workers)
        self._best = _Best(space)

    def __enter__(self) -> Self:
        """Do nothing; lines need no set-up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing; lines need no clean-up."""

    def planned(self, total: int, done: int) -> None:
        """Set the number of trials."""
        self._clock.planned(total, done)

    def started(self, plan: Plan) -> None:
        """Start the clock of a plan."""
        self._clock.started(plan)

    def progress(self, progress: experiment.Progress) -> None:
        """Print nothing; there is no line per epoch."""

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Print how the plan ended."""
        self._clock.finished(plan)
        self._best.take(record)
        head = _HEADS.get(type(plan), f"[{self._clock.done}/{self._clock.total}]")
        left = f" · {self._clock.left} left" if isinstance(plan, TrainingPlan) else ""
        self.console.print(
            f"{head} {name_of(self.space, plan)}: {outcome(self.space, record)}{left}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


class ProgressTable:
    """Observer that draws a bar for every running trial, the time left and the best arm."""

    def __init__(self, space: Space, console: Console, workers: int) -> None:
        """Draw on `console`, a terminal; `workers` trials run at once."""
        self.space = space
        self._clock = _Clock(workers)
        self._best = _Best(space)
        self._all = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._study = self._all.add_task(space.study, total=None, left="")
        self._each = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=3, no_wrap=True)),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[epoch]}"),
            TextColumn("{task.fields[shown]}", table_column=Column(ratio=2, no_wrap=True)),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render)

    def __enter__(self) -> Self:
        """Start drawing on the last lines of the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; the last state stays on the screen."""
        self._live.stop()

    def planned(self, total: int, done: int) -> None:
        """Set the length of the study's bar."""
        self._clock.planned(total, done)
        self._all.update(self._study, total=total, completed=done)

    def started(self, plan: Plan) -> None:
        """Add a bar for the plan."""
        self._clock.started(plan)
        epochs = plan.arm.recipe.total_epochs if isinstance(plan, TrainingPlan) else None
        self._tasks[plan.key] = self._each.add_task(
            name_of(self.space, plan), total=epochs, epoch="", shown=""
        )

    def progress(self, progress: experiment.Progress) -> None:
        """Advance the bar of a trial."""
        self._each.update(
            self._tasks[progress.key],
            completed=progress.epoch,
            epoch=f"{progress.epoch}/{progress.epochs}",
            shown=_numbers(progress.metrics, list(progress.metrics)),
        )

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Remove the bar; print a failure above the bars."""
        self._clock.finished(plan)
        self._best.take(record)
        self._each.remove_task(self._tasks.pop(plan.key))
        self._all.update(self._study, completed=self._clock.done)
        if record.failure is not None:
            line = f"{name_of(self.space, plan)}: {outcome(self.space, record)}"
            self._live.console.print(line, markup=False)

    def _render(self) -> Group:
        self._all.update(self._study, left=f"{self._clock.left} left")
        best = [Text(f"best so far  {self._best}", no_wrap=True)] if str(self._best) else []
        return Group(self._all, self._each, *best)


class _Clock:
    """Counts finished trials and estimates the time left from their mean duration."""

    def __init__(self, workers: int) -> None:
        self.total = self.done = 0
        self._workers = workers
        self._starts: dict[str, float] = {}
        self._seconds: list[float] = []

    def planned(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def started(self, plan: Plan) -> None:
        self._starts[plan.key] = time.monotonic()

    def finished(self, plan: Plan) -> None:
        elapsed = time.monotonic() - self._starts.pop(plan.key)
        if isinstance(plan, TrainingPlan):
            self.done += 1
            self._seconds.append(elapsed)

    @property
    def left(self) -> str:
        """Time left as h:mm:ss; `?` until a trial has finished."""
        if not self._seconds:
            return "?"
        mean = sum(self._seconds) / len(self._seconds)
        running = sum(min(mean, time.monotonic() - start) for start in self._starts.values())
        left = round((mean * (self.total - self.done) - running) / self._workers)
        return f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"


class _Best:
    """Best arm so far by the first objective, averaged over its finished seeds."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._objective = space.objectives[0]
        prefix = HOLDOUT if space.search.selects else ""
        metric = self._objective.metric
        self._metric = prefix + metric if is_trained(metric) else metric
        self._values: dict[str, list[float]] = {}
        self._names: dict[str, str] = {}

    def take(self, record: WorkRecord) -> None:
        if isinstance(record, TuningRecord) or not isinstance(record, TrialRecord):
            return
        value = record.metrics.get(self._metric)
        if value is not None and record.state is not State.PRUNED:
            self._values.setdefault(record.arm, []).append(value)
            self._names[record.arm] = self._space.label(record.params)

    def __str__(self) -> str:
        if not self._values:
            return ""
        means = {arm: sum(values) / len(values) for arm, values in self._values.items()}
        best = min(means, key=lambda arm: means[arm] * self._objective.sign)
        n = len(self._values[best])
        return f"{self._names[best]}  {self._metric} {means[best]:.4g} (n={n})"


def name_of(space: Space, plan: Plan) -> str:
    """Return the name of a plan to print: its parameters and seed."""
    label = space.label(plan.params) or "the only candidate"
    if isinstance(plan, TuningPlan) and space.tune is not None:
        tried = (f"{name}={getattr(plan.arm.recipe, name):g}" for name in space.tune.values)
        return f"{label} tuning {' '.join(tried)}"
    if isinstance(plan, (TrainingPlan, RemeasurePlan)):
        return f"{label} seed {plan.seed}"
    return f"{label} timing"


def outcome(space: Space, record: WorkRecord) -> str:
    """Return how a plan ended, in one line."""
    if record.failure is not None:
        last = (record.error or "").splitlines() or [""]
        return f"FAILED ({record.failure}) {last[-1]}"
    metrics = record.metrics or {}
    if isinstance(record, TimingRecord):
        name = next(name for name in metrics if name.startswith("latency_ms"))
        interval = f"{metrics[f'{name}.low']:.3g} to {metrics[f'{name}.high']:.3g}"
        note = ", disturbed" if record.disturbed else ""
        return f"{name} {metrics[name]:.3g} ({interval}{note})"
    if isinstance(record, TrialRecord) and record.state is State.PRUNED:
        return f"PRUNED after {record.training['epochs']} epochs in {record.seconds:.1f} s"
    names = [o.metric for o in space.objectives if lookup(o.metric).known != "static"]
    if isinstance(record, TuningRecord) and space.tune is not None:
        names = [f"{HOLDOUT}{space.tune.metric}"]
    if isinstance(record, MeasureRecord):
        names = [name for name in metrics if not name.startswith("majority.")]
    return f"{_numbers(metrics, names)} in {record.seconds:.1f} s"


def _numbers(metrics: Mapping[str, float], names: list[str]) -> str:
    shown = [name for name in names if metrics.get(name) is not None][:_SHOWN_METRICS]
    return "  ".join(f"{name} {metrics[name]:.3g}" for name in shown)
