"""Words for plans and their ends, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size

from gmsearch import display
from gmsearch.experiment import Plan, RemeasurePlan, TrainingPlan, TuningPlan, timed
from gmsearch.metrics import HOLDOUT, is_trained, lookup
from gmsearch.plain import Assignment
from gmsearch.records import MeasureRecord, State, TimingRecord, TrialRecord, WorkRecord
from gmsearch.space import Space

_MOST_VALUES = 4
_LEAST_LABEL = 8


def label_of(space: Space, params: Assignment) -> str:
    """Return the parameters of an arm as text."""
    return space.label(params) or "the only candidate"


def name_of(space: Space, plan: Plan) -> str:
    """Return the name of a plan: its parameters and what is done with them."""
    label = label_of(space, plan.params)
    if isinstance(plan, TuningPlan) and space.tune is not None:
        return f"{label} tuning {_tried(space, plan)}"
    if isinstance(plan, (TrainingPlan, RemeasurePlan)):
        return f"{label} seed {plan.seed}"
    return f"{label} timing"


def work_of(space: Space, plan: Plan) -> str:
    """Return what is done with an arm: `s0` for a trial with seed 0."""
    if isinstance(plan, TuningPlan):
        return _tried(space, plan)
    if isinstance(plan, (TrainingPlan, RemeasurePlan)):
        return f"s{plan.seed}"
    return "timed"


def _tried(space: Space, plan: TuningPlan) -> str:
    names = space.tune.values if space.tune is not None else ()
    return " ".join(f"{name}={getattr(plan.arm.recipe, name):g}" for name in names)


def outcome(space: Space, record: WorkRecord, *, costs: bool = True) -> str:
    """Return how a plan ended: a state and the objectives, or the reason for a failure.

    Without `costs`, of a trial only the objectives that it was trained for.
    """
    if record.failure is not None:
        return f"FAILED ({record.failure}) {reason_of(record)}".rstrip()
    if isinstance(record, TimingRecord):
        return _timing(space, record)
    if isinstance(record, MeasureRecord):
        known = record.metrics or {}
        names = [name for name in known if not name.startswith("majority.")][:_MOST_VALUES]
        return _joined(f"measured {record.seconds:.1f} s", values(known, names))
    assert isinstance(record, TrialRecord)
    state = str(record.state)
    if record.state is State.PRUNED:
        state += f" after {record.training['epochs']} epochs"
    names = _metrics(space, record)
    shown = values(record.metrics, [name for name in names if costs or is_trained(name)])
    return _joined(f"{state} {record.seconds:.1f} s", shown)


def reason_of(record: WorkRecord) -> str:
    """Return the last line of an error, which names the reason."""
    lines = (record.error or "").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _metrics(space: Space, record: TrialRecord) -> list[str]:
    """Return the metrics of a trial that decide."""
    if record.kind == TuningPlan.kind and space.tune is not None:
        return [f"{HOLDOUT}{space.tune.metric}"]
    return [space.search.judged_by(goal.metric) for goal in space.objectives]


def values(known: Mapping[str, float], names: Sequence[str]) -> str:
    """Return the named values that are known, such as `top1 .183 flops 253.6k`."""
    return " ".join(f"{name} {short(known[name], name)}" for name in names if name in known)


def short(value: float, metric: str) -> str:
    """Return a value in few characters: `.183` for a share, `253.6k` for a count."""
    form = lookup(metric).form
    if form == "share":
        return f"{value:.3f}".removeprefix("0")
    return display.count(value) if form == "count" else three_digits(value)


def three_digits(value: float) -> str:
    """Return a number with three digits, or all of its whole part."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".removesuffix(".")


def _timing(space: Space, record: TimingRecord) -> str:
    known = record.metrics or {}
    names = [goal.metric for goal in space.objectives]
    names += [constraint.metric for constraint in space.constraints]
    shown = []
    for name in dict.fromkeys(names):
        if name in known and timed(name):
            ends = [known.get(f"{name}.{end}") for end in ("low", "high")]
            interval = " to ".join(f"{three_digits(end)}" for end in ends if end is not None)
            shown.append(
                f"{name} {three_digits(known[name])}" + (f" ({interval})" if interval else "")
            )
    return _joined("disturbed" if record.disturbed else "", ", ".join(shown[:_MOST_VALUES]))


def _joined(*parts: str) -> str:
    return "  ".join(filter(None, parts))


def with_label(text: str, label: str, width: int) -> str:
    """Return a text and the label of an arm on one line, as far as the label fits.

    The text names the arm by its number, so that a label can be left out.
    """
    room = width - cell_len(text) - 2
    return f"{text}  {clipped(label, room)}" if room >= _LEAST_LABEL else text


def clipped(text: str, width: int) -> str:
    """Return a text that fits a width, cut in its middle: both ends tell arms apart."""
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    left = set_cell_size(text, (width - 1) // 2)
    right, room = "", width - 1 - cell_len(left)
    for character in reversed(text):
        if cell_len(character + right) > room:
            break
        right = character + right
    return f"{left}…{right}"


def clock(seconds: float) -> str:
    """Return a time span as `m:ss` or `h:mm:ss`."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
