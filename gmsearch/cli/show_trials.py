"""The trials of a study, one line each; nothing that names something is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gmsearch.display import MISSING
from gmsearch.errors import InputError
from gmsearch.ledger import ArmNumbers, Study
from gmsearch.metrics import STATIC_METRICS, lookup
from gmsearch.plain import canonical_json, plain
from gmsearch.records import State, TrialRecord
from gmsearch.status.summary import state_of
from gmsearch.wording import compact, near

_SHORTEST = 8
"""Characters of a key that are shown, unless more are needed to tell keys apart."""


def chosen(
    study: Study, *, state: str | None, sort: str | None, limit: int | None
) -> list[TrialRecord]:
    """Return the trials of a study that are asked for, in the order asked for.

    Args:
        study: whose trials.
        state: in which they ended, whatever the case; None for any.
        sort: a metric, best first, those without it last; or `seconds`; None for the ledger's
            order.
        limit: how many at most.

    Raises:
        InputError: there is no such state, or no trial has the metric.
    """
    trials = list(study.records.trials.values())
    if state is not None:
        states = [one.value for one in State]
        if state.upper() not in states:
            raise InputError(f"--state: expected one of {', '.join(states)}, got {state!r}")
        trials = [trial for trial in trials if trial.state == state.upper()]
    if sort == "seconds":
        trials.sort(key=lambda trial: -trial.seconds)
    elif sort is not None:
        trials = _sorted_by(study, trials, sort)
    return trials[:limit]


def _sorted_by(study: Study, trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    known = {name for trial in study.records.trials.values() for name in study.metrics(trial)}
    if metric not in known:
        words = near(metric, ["seconds", *sorted(known)])
        raise InputError(f"--sort: no trial has the metric {metric!r}; {words}")
    goals = {goal.metric: goal.sign for goal in study.space.objectives}
    sign = goals.get(metric, lookup(metric).sign)

    def rank(trial: TrialRecord) -> tuple[bool, float]:
        value = study.metrics(trial).get(metric)
        return value is None, sign * (value or 0.0)

    return sorted(trials, key=rank)


def trials_lines(study: Study, trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield a heading, a line for every trial, and the state of the study."""
    metrics = [goal.metric for goal in study.space.objectives]
    numbers, length = ArmNumbers(study.records), _key_length(study)
    differing = _differing(study)
    rows = [["trial", "arm", "seed", "state", "seconds", *metrics]]
    labels = [" ".join(name for name, _ in differing)]
    for trial in trials:
        number, known = numbers.of(trial.params), study.metrics(trial)
        rows.append(
            [
                trial.key[:length],
                MISSING if number is None else f"#{number}",
                str(trial.seed),
                str(trial.state),
                f"{trial.seconds:.1f}",
                *(_value(known.get(metric), metric) for metric in metrics),
            ]
        )
        values = [compact(trial.params[path]) for _, path in differing if path in trial.params]
        labels.append(" ".join([*values, *_reason(trial)]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = (2, *range(4, len(widths)))
    for row, label in zip(rows, labels, strict=True):
        cells = (
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([*cells, label]).rstrip()
    yield f"{study.space.study}: {state_of(study).text}; `gmsearch show {study.space.study} TRIAL`"


def _reason(trial: TrialRecord) -> list[str]:
    if trial.failure is None:
        return []
    last = (trial.error or "").strip().rpartition("\n")[2]
    return [f"[{trial.failure}: {last}]"]


def _key_length(study: Study) -> int:
    """Return how many characters tell all keys of a study apart."""
    keys = sorted({*study.records.trials, *study.records.tuning})
    length = _SHORTEST
    while len({key[:length] for key in keys}) < len(keys):
        length += 1
    return length


def _differing(study: Study) -> list[tuple[str, str]]:
    """Return name and path of the parameters that differ between the trials of a study.

    Of an only arm, all.
    """
    values: dict[str, set[str]] = {}
    trials = study.records.trials.values()
    for trial in trials:
        for path, value in trial.params.items():
            values.setdefault(path, set()).add(canonical_json(plain(value)))
    count = {path: sum(path in trial.params for trial in trials) for path in values}
    differ = [path for path in values if len(values[path]) > 1 or count[path] < len(trials)]
    paths = differ or list(values)
    return [(study.space.short_names[path], path) for path in paths]


def _value(value: float | None, metric: str) -> str:
    if value is None:
        return MISSING
    return f"{value:,.0f}" if metric in STATIC_METRICS else f"{value:.4g}"
