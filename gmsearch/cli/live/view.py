"""The events of a run as lines: printed where that is wished, and logged."""

from __future__ import annotations

import threading
from datetime import datetime
from types import TracebackType
from typing import Self

from gmsearch.cli.console import Console
from gmsearch.cli.live.log import RunLog
from gmsearch.cli.live.state import RunState
from gmsearch.cli.live.words import clock, label_of, name_of, outcome
from gmsearch.experiment import Plan, Progress, TimingPlan, TrainingPlan
from gmsearch.ledger import Records
from gmsearch.records import WorkRecord
from gmsearch.space import Space

_WORTH_SAYING = 1.0
"""Seconds after which a line says what takes so long."""


class ProgressLines:
    """Observer that prints a line with the time for everything that ends, and logs it.

    For logs, pipes, CI, and terminals that cannot move their cursor.
    """

    def __init__(self, space: Space, console: Console) -> None:
        """Print on `console`."""
        self.console = console
        self.state = RunState(space)
        self.log = RunLog(self.show)
        self.began = False
        """Whether anything ran."""
        self._saying: threading.Timer | None = None

    def __enter__(self) -> Self:
        """Do nothing; lines need no set-up."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Log what ended the run early, and close the log."""
        self._quiet()
        if kind is not None:
            self.log.write(
                "interrupted" if issubclass(kind, KeyboardInterrupt) else f"ended: {error}"
            )
        self.log.close()

    def opened(self, records: Records) -> None:
        """Begin where the earlier starts of the study ended."""
        self.state.opened(records)

    def doing(self, what: str) -> None:
        """Say what is being done, if it takes more than a moment."""
        self._quiet()
        self._saying = threading.Timer(_WORTH_SAYING, self._say_doing, [what])
        self._saying.daemon = True
        self._saying.start()

    def planned(self, total: int, done: int, timings: int) -> None:
        """Set the number of trials."""
        self._quiet()
        self.state.set_plan(total, done, timings)

    def started(self, plan: Plan) -> None:
        """Open the log with the first plan; say what is done if nothing is trained."""
        self._quiet()
        self.began = True
        self.state.begin(plan)
        if self.state.records is not None:
            self.log.open(self.state.records.folder)
        if isinstance(plan, TimingPlan):
            self.doing(self.timing_of(plan))
        elif not isinstance(plan, TrainingPlan):
            self.doing(f"measuring {self.number_of(plan)} {name_of(self.state.space, plan)} again")

    def progress(self, progress: Progress) -> None:
        """Keep the values; there is no line per epoch."""
        self.state.advance(progress)

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Say how the plan ended."""
        self._quiet()
        self.state.end(plan, record)
        space, left = self.state.space, self.state.left
        text, name = outcome(space, record), name_of(space, plan)
        count = f"{self.state.done}/{self.state.total} " if isinstance(plan, TrainingPlan) else ""
        if isinstance(plan, TimingPlan):
            text, name = f"timed {text}", label_of(space, plan.params)
        tail = f"; {clock(left)} left" if left and count else ""
        line = f"{count}{self.number_of(plan)} {text}  {name}{tail}"
        self.log.write(line)
        self.show_end(line, plan, record)

    def number_of(self, plan: Plan) -> str:
        """Return the number of a plan's arm; the baseline is timed before it has one."""
        number = self.state.number(plan.params)
        return number if number.strip() else "baseline"

    def remark(self, text: str) -> None:
        """Say something about the study."""
        self.show(text)
        self.log.write(text)

    def timing_of(self, plan: TimingPlan) -> str:
        """Return which timing of how many is being made, and of what."""
        number = self.state.number(plan.params).lstrip()
        again = " again" if plan.attempt > 1 else ""
        label = label_of(self.state.space, plan.params)
        if not number:  # it comes before all proposals, since bounds depend on it
            return f"timing the baseline alone{again}: {label}"
        return f"timing {self.state.timing} of {self.state.timings} alone{again}: {number} {label}"

    def show_end(self, line: str, _plan: Plan, _record: WorkRecord) -> None:
        """Print how a plan ended."""
        self.show(timed_line(line))

    def show_doing(self, what: str) -> None:
        """Print what is being done."""
        self.show(timed_line(what))

    def show(self, text: str) -> None:
        """Print a line."""
        self.console.say(text)

    def _say_doing(self, what: str) -> None:
        self.show_doing(what)
        self.log.write(what)

    def _quiet(self) -> None:
        """Say no more what was done until now."""
        if self._saying is not None:
            self._saying.cancel()
            self._saying = None


def timed_line(text: str) -> str:
    """Return a line with the time of the clock."""
    return f"{datetime.now().astimezone():%H:%M:%S} {text}"
