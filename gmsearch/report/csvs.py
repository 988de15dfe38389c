"""Facts as CSV, one observation a row, unrounded and in base units; empty where unmeasured."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from gmsearch.report.ablation import AblationFacts
from gmsearch.report.facts import ArmFacts
from gmsearch.report.front import FrontFacts
from gmsearch.report.metrics import Metric

Value = str | int | float | None

_ABLATION = (
    *("metric", "direction", "arm", "label", "baseline", "n", "mean", "sd", "low", "high"),
    *("pairs", "difference", "difference_low", "difference_high", "p", "p_holm", "effect"),
    *("verdict", "sign_changes", "majority", "chance"),
)


def ablation_csv(facts: AblationFacts) -> str:
    """Return one row per metric and arm; low and high are the interval of a timed metric."""
    rows: list[dict[str, Value]] = []
    for block in facts.blocks:
        for row in block.rows:
            found = _identity(row.arm, block.metric)
            found["verdict"] = row.verdict
            found["majority"] = row.majority
            found["chance"] = facts.study.data.chance if row.majority is not None else None
            if row.summary is not None:
                found |= {"n": row.summary.n, "mean": row.summary.mean, "sd": row.summary.sd}
            if row.paired is not None:
                found |= {
                    "pairs": row.paired.n,
                    "difference": row.paired.difference,
                    "difference_low": row.paired.low,
                    "difference_high": row.paired.high,
                    "p": row.paired.p,
                    "p_holm": row.p,
                    "effect": row.paired.effect,
                    "sign_changes": int(row.sign_changes),
                }
            rows.append(found)
    for costs in facts.costs:
        for cost in costs.costs:
            found = _identity(cost.arm, costs.metric)
            found |= {"mean": cost.value, "difference": cost.difference}
            if cost.interval is not None:
                found["low"], found["high"] = cost.interval
            if cost.difference_interval is not None:
                found["difference_low"], found["difference_high"] = cost.difference_interval
            rows.append(found)
    return _csv([*_ABLATION, *_made_comparable(facts.study.arms)], rows)


def front_csv(facts: FrontFacts) -> str:
    """Return one row per arm, those left out at the end with the reason."""
    metrics = list(
        dict.fromkeys(metric.name for axis in facts.axes for metric in (axis.metric, axis.shown))
    )
    columns = ["arm", "label", "baseline", "n", "on_front", "knee", "probability", "left_out"]
    columns += _made_comparable(facts.study.arms)
    for name in metrics:
        columns += [name, f"{name}.sd"]
    measured = {name for point in facts.points for name in point.arm.timings}
    intervals = [name for name in metrics if name in measured]
    columns += [f"{name}.{end}" for name in intervals for end in ("low", "high")]
    rows: list[dict[str, Value]] = []
    for point in facts.points:
        found = _arm(point.arm)
        found |= {"n": point.n, "probability": point.probability}
        found |= {"on_front": int(point.on_front), "knee": int(point.knee)}
        for axis, judged, shown in zip(facts.axes, point.judged, point.shown, strict=True):
            for metric, summary in ((axis.shown, shown), (axis.metric, judged)):
                if summary is not None:
                    found |= {metric.name: summary.mean, f"{metric.name}.sd": summary.sd}
        for name in intervals:
            if name in point.arm.timings:
                timing = point.arm.timings[name]
                found |= {f"{name}.low": timing.low, f"{name}.high": timing.high}
        rows.append(found)
    rows += [{**_arm(arm), "n": len(arm.trials), "left_out": why} for arm, why in facts.left_out]
    return _csv(columns, rows)


def _arm(arm: ArmFacts) -> dict[str, Value]:
    scaled = {"matched": "-".join(f"{value:g}" for value in arm.scaled)} if arm.scaled else {}
    tuned = {f"train.{name}": value for name, value in arm.tuned.items()}
    return {
        "arm": arm.digest,
        "label": arm.label,
        "baseline": int(arm.baseline),
        **tuned,
        **scaled,
    }


def _made_comparable(arms: Sequence[ArmFacts]) -> list[str]:
    """Return the columns of what was tuned and matched; none where nothing was."""
    names = dict.fromkeys(name for arm in arms for name in _arm(arm))
    return [name for name in names if name.startswith("train.") or name == "matched"]


def _identity(arm: ArmFacts, metric: Metric) -> dict[str, Value]:
    direction = "maximize" if metric.maximize else "minimize"
    return {"metric": metric.name, "direction": direction, **_arm(arm)}


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Value]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
