"""A bar for every running trial on the last lines of a terminal, and what ended above them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.text import Text

from gmsearch.cli.console import Console
from gmsearch.cli.live.state import Work
from gmsearch.cli.live.view import ProgressLines, timed_line
from gmsearch.cli.live.words import clipped, clock, label_of, outcome, short, with_label, work_of
from gmsearch.cli.streams import lines_to
from gmsearch.display import MISSING
from gmsearch.experiment import Plan, TimingPlan, TrainingPlan
from gmsearch.metrics import HOLDOUT
from gmsearch.records import WorkRecord
from gmsearch.space import Space
from gmsearch.status.best import Best, best_arm

_PAUSE = 0.25
_PAUSE_OF_TIMING = 2.0
_CELLS = 4
_CELLS_OF_STUDY = 24
_OF_HOURS = len("0:00:00 left")


class ProgressTable(ProgressLines):
    """Observer that draws what runs, and prints a line above it for everything that ends."""

    def __init__(self, space: Space, console: Console) -> None:
        """Draw on `console`, a terminal that moves its cursor."""
        console.file = console.file  # while lines are caught, stderr is another stream
        super().__init__(space, console)
        self._doing: tuple[str, float] | None = None
        self._best: Best | None = None
        self._signs = ("▰", "▱") if console.encoding.startswith("utf") else ("#", "-")
        self._live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._drawn,
        )
        # What one thread prints must not come between the parts of what another draws.
        self._turn = threading.RLock()
        self._lines = lines_to(self.show)
        self._ticker = _Ticker(self._refresh, self._pause)

    def __enter__(self) -> Self:
        """Start drawing on the last lines of the terminal."""
        self._live.start()
        self._lines.__enter__()
        self._ticker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop drawing; the last state stays on the screen if anything ran."""
        self._doing = self._best = None
        self._live.transient = not self.began
        self._ticker.stop()
        self._lines.__exit__(None, None, None)
        self._live.stop()
        super().__exit__(kind, error, traceback)

    def doing(self, what: str) -> None:
        """Draw what is being done."""
        super().doing(what)
        self._doing = what, time.monotonic()
        self._refresh()

    def planned(self, total: int, done: int, timings: int) -> None:
        """Draw how many trials there are."""
        self._doing = None
        super().planned(total, done, timings)

    def started(self, plan: Plan) -> None:
        """Draw a bar for the plan."""
        self._doing = None
        if self._best is None and self.state.records is not None:
            self._best = best_arm(self.state.space, self.state.records)
        super().started(plan)

    def finished(self, plan: Plan, record: WorkRecord) -> None:
        """Remove the bar."""
        self._doing = None
        if self.state.records is not None and isinstance(plan, TrainingPlan):
            self._best = best_arm(self.state.space, self.state.records)
        super().finished(plan, record)

    def show_end(self, _line: str, plan: Plan, record: WorkRecord) -> None:
        """Print how a plan ended, on one line: costs and label as far as there is room."""
        space, width = self.state.space, self.console.width
        head = f"{self.number_of(plan)} {work_of(space, plan)}"
        for costs in (True, False):
            text = f"{head} {outcome(space, record, costs=costs)}".replace(HOLDOUT, "")
            line = timed_line(text)
            if cell_len(line) < width:
                break
        self.show(with_label(line, label_of(space, plan.params), width))

    def show_doing(self, what: str) -> None:
        """Print nothing: it is drawn."""

    def show(self, text: str) -> None:
        """Print a line above what is drawn."""
        with self._turn:
            super().show(text)
            self._live.refresh()  # else what was drawn last would be drawn again

    def _refresh(self) -> None:
        with self._turn:
            self._live.refresh()

    def _pause(self) -> float:
        # What draws takes its share of the machine, which a timing has to itself.
        return _PAUSE_OF_TIMING if self._timing() else _PAUSE

    def _timing(self) -> bool:
        return any(isinstance(w.plan, TimingPlan) for w in list(self.state.running.values()))

    def _drawn(self) -> Group:
        width = self.console.width
        works = [w for w in list(self.state.running.values()) if w.epochs]
        lines = [self._study(works), *(self._row(work, width) for work in works)]
        if self._doing is not None:
            what, since = self._doing
            spent = f"  {clock(time.monotonic() - since)}"
            lines.append(Text(clipped(what, width - len(spent)) + spent, style="cyan"))
        if self._best is not None:
            lines.append(self._best_line(self._best, width))
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*lines)

    def _study(self, works: list[Work]) -> Text:
        state = self.state
        spent = clock(time.monotonic() - state.start)
        line = Text().append(state.space.study, style="bold")
        if state.planned:
            line.append("  ")
            line.append_text(self._bar(state.done, state.total, _CELLS_OF_STUDY))
            line.append(f"  {state.done}/{state.total}")
        left = f"  {clock(state.left)} left" if state.left else ""
        split = "  on the holdout" if state.space.search.selects and works else ""
        line.append(f"  {spent} elapsed{left}{split}", style="dim")
        return line

    def _row(self, work: Work, width: int) -> Text:
        """Return the line of a trial: what tells it apart first, the label as far as it fits."""
        state, plan = self.state, work.plan
        digits = len(str(work.epochs))
        line = Text(f"{state.number(plan.params)} {work_of(state.space, plan)} ")
        line.append_text(self._bar(work.epoch, work.epochs, _CELLS))
        line.append(f" {work.epoch:>{digits}}/{work.epochs} ")
        line.append(f"{self._left(work):<{_OF_HOURS - 3}}", style="dim")
        for name in self._shown():
            value = short(work.values[name], name) if name in work.values else MISSING
            line.append(f" {name} {value:<5}")
        label = label_of(state.space, plan.params)
        return line.append(f" {clipped(label, width - line.cell_len - 1)}")

    def _shown(self) -> list[str]:
        """Return the objectives that are measured while a network trains."""
        bands = self.state.space.bands
        names = ("top1", *bands.metrics) if bands.every else ()
        return [goal.metric for goal in self.state.space.objectives if goal.metric in names]

    @staticmethod
    def _left(work: Work) -> str:
        if work.epoch == work.epochs:
            return "measuring"
        left = work.left(time.monotonic())
        if left is None:
            return "training" if work.begun else "starting"
        return f"{clock(left)} left"

    def _bar(self, done: int, total: int, cells: int) -> Text:
        full = cells * done // total if total else 0
        done_sign, open_sign = self._signs
        bar = Text().append(done_sign * full, style="green")
        return bar.append(open_sign * (cells - full), style="dim")

    def _best_line(self, best: Best, width: int) -> Text:
        metric = best.metric.removeprefix(HOLDOUT)
        compared = "only arm" if best.arms == 1 else f"best of {best.arms} arms"
        line = Text(f"{compared} so far  {self.state.number(best.params).lstrip()}  ")
        line.append(f"{metric} {short(best.value, metric)}", style="bold")
        line.append(f" (n {best.n})  ")
        label = label_of(self.state.space, self.state.space.assignment(best.params))
        return line.append(clipped(label, width - line.cell_len))


class _Ticker(threading.Thread):
    """Draws again after every pause."""

    def __init__(self, draw: Callable[[], None], pause: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._draw = draw
        self._pause = pause
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(self._pause()):
            self._draw()

    def stop(self) -> None:
        self._end.set()
        self.join()
