"""Sentences that stand beside the tables: how it was measured, and what it cannot say."""

from __future__ import annotations

from gmsearch import stats
from gmsearch.metrics import HOLDOUT, majority
from gmsearch.report.ablation import TOO_SMALL, AblationFacts
from gmsearch.report.band_notes import band_notes
from gmsearch.report.curves import CurveFacts
from gmsearch.report.facts import StudyFacts
from gmsearch.report.fairness import fairness_notes
from gmsearch.report.front import DRAWS, FrontFacts
from gmsearch.report.metrics import MISSING, Metric
from gmsearch.report.tables import KNEE_MARK, SHOWN_ARMS, SIGN_MARK

_REGIME = "share_above_6"
_CLIPPED = ("relu", "relu6")


def ablation_notes(facts: AblationFacts) -> list[str]:
    """Return what the ablation tables must be read with."""
    study = facts.study
    if not study.measured:
        return [nothing(study)]
    notes = []
    if study.space.baseline is None:
        notes.append("The space names no baseline: the arms stand side by side, uncompared.")
    elif study.baseline is None:
        notes.append("The baseline has no completed trial yet: nothing can be compared with it.")
    else:
        notes += _comparison_notes(facts)
    wanted = {objective.metric for objective in study.space.objectives}
    for block in facts.costs:
        values = {cost.value for cost in block.costs if cost.value is not None}
        if len(values) == 1 < len(study.measured):
            role = "an objective that decides nothing here" if block.metric.name in wanted else ""
            text = with_unit(block.metric, values.pop())
            notes.append(f"{block.metric.name} is {text} for every arm{role and f': {role}'}.")
    return notes


def _comparison_notes(facts: AblationFacts) -> list[str]:
    assert facts.study.baseline is not None, "asked for only with a baseline"
    notes = [
        (
            f"Differences are to {facts.study.baseline.label}, paired by seed over the seeds both "
            "have: mean and 95 % t interval; p of the exact two-sided sign-flip permutation test, "
            "after Holm over the comparisons of one metric; d: mean / sd of the differences. "
            f"better and worse: p ≤ {stats.ALPHA}; undecided: above."
        ),
    ]
    needed = {
        (block.comparisons, block.needed)
        for block in facts.blocks
        if any(row.verdict == TOO_SMALL for row in block.rows)
    }
    notes += [
        f"n too small to decide: no outcome of so few seeds reaches p ≤ {stats.ALPHA} after Holm; "
        f"{count} comparison{'s' if count > 1 else ''} need at least {seeds} seeds."
        for count, seeds in sorted(needed)
    ]
    if facts.sign_changes:
        notes.append(
            f"{SIGN_MARK} another version of the same side of the spectrum gives this effect the "
            "other sign (table below): its sign hangs on the choice of radius or protocol."
        )
    if any(row.majority is not None for block in facts.blocks for row in block.rows):
        notes.append(
            "maj.: largest share of one predicted class; near 100 % the network has "
            "collapsed, whatever its accuracy."
        )
    return notes


def front_notes(facts: FrontFacts) -> list[str]:
    """Return what the front must be read with."""
    study = facts.study
    if not study.measured:
        return [nothing(study)]
    notes = []
    if not facts.points:
        notes.append("No arm is feasible with every objective measured: there is no front.")
    elif len(facts.points) == 1:
        notes.append("One arm alone is a front of itself: nothing was compared.")
    elif len(facts.axes) == 1:
        notes.append("With one objective the front is the best arm, and those equal to it.")
    if len(facts.points) > SHOWN_ARMS:
        hidden = len(facts.points) - len(facts.members)
        notes.append(f"{hidden} dominated arms are not shown; the CSV file has all.")
    notes += _constant(list(facts.constant))
    if facts.points:
        notes.append(
            "Objectives are averaged over the seeds before dominance is judged. P(front): share "
            f"of {DRAWS} bootstrap draws of seeds (the same for every arm) and timings in which "
            f"the arm is on the front; {MISSING} from a single seed. Bars in the figure: sd over "
            "the seeds, the interval of a latency."
        )
    if any(point.knee for point in facts.points):
        notes.append(
            f"{KNEE_MARK}: the member with the smallest sum of the objectives, each scaled to "
            "0..1 over the front."
        )
    notes += _volume(facts)
    notes += _band_controls(facts)
    counts: dict[str, int] = {}
    for _, reason in facts.left_out:
        counts[reason] = counts.get(reason, 0) + 1
    notes += [
        f"{count} arm{'s' if count > 1 else ''} left out: {reason}."
        for reason, count in counts.items()
    ]
    return notes


def _band_controls(facts: FrontFacts) -> list[str]:
    """Return the controls of every band among the objectives, over the arms shown."""
    notes = []
    for axis in facts.axes:
        name = axis.metric.name
        share = majority(name)
        if share is None or "@" not in name:
            continue
        means = {
            control: [value for p in facts.points if (value := p.arm.mean(control)) is not None]
            for control in (share, f"{HOLDOUT if name.startswith(HOLDOUT) else ''}nodc")
        }
        if all(means.values()):
            shares, nodc = (
                f"{100 * min(values):.1f} to {100 * max(values):.1f} %"
                for values in means.values()
            )
            notes.append(
                f"{name}: over the arms, the largest share of one predicted class is {shares}; "
                f"accuracy on whole images without their mean (nodc) is {nodc}."
            )
    return notes


def _volume(facts: FrontFacts) -> list[str]:
    if facts.volume is None:
        return []
    shown = {axis.metric.name: axis.metric for axis in facts.axes}
    ideal, reference = (
        ", ".join(f"{name} {with_unit(shown[name], value)}" for name, value in point.items())
        for point in (facts.volume.ideal, facts.volume.reference)
    )
    return [
        (
            f"Hypervolume: {facts.volume.share:.4f} of the box from the ideal ({ideal}) to the "
            f"reference point ({reference})."
        )
    ]


def curve_notes(facts: CurveFacts) -> list[str]:
    """Return what the curves must be read with."""
    if not facts.panels:
        return ["No history of any epoch was kept: there are no curves."]
    splits = " and ".join(facts.splits)
    return [
        (
            f"Curves: mean ± sd over the seeds, accuracies on the {splits} split; train_loss is "
            "the mean over the epoch."
        )
    ]


def measured_notes(study: StudyFacts) -> list[str]:
    """Return how the numbers of a study were measured."""
    return [
        *_split_notes(study),
        *fairness_notes(study),
        *band_notes(study),
        *_cost_notes(study),
        *_timing_notes(study),
        *_regimes(study),
    ]


def with_unit(metric: Metric, value: float) -> str:
    """Return a number with its unit."""
    return f"{metric.text(value)} {metric.unit}".rstrip()


def nothing(study: StudyFacts) -> str:
    """Return why a study without a completed trial has no report."""
    if study.outcomes:
        return "No trial has completed: there is nothing to compare."
    return "The study has no trial yet: there is nothing to report."


def _constant(names: list[str]) -> list[str]:
    return [
        f"{name} is the same for every arm: nothing this study varies changes it, and it decides "
        "nothing."
        for name in names
    ]


def _split_notes(study: StudyFacts) -> list[str]:
    data = study.data
    images = f" of {data.evaluation} images" if data.evaluation is not None else ""
    chance = f"; chance {100 * data.chance:.1f} %" if data.chance is not None else ""
    shown = f"the evaluation split{images}{chance}"
    held = f", {data.holdout} images" if data.holdout is not None else ""
    if study.space.search.selects:
        notes = [
            (
                f"The holdout ({100 * study.space.data.holdout:g} % of the training split{held}) "
                f"chose; its numbers are named holdout. Shown beside them: {shown}."
            )
        ]
    else:
        what = " an arm: every one" if study.space.tune is not None else ": every arm"
        notes = [f"No split chose{what} is shown. Accuracies are of {shown}."]
    if data.synthetic:
        notes.append(
            "The data set spectral is synthetic: its numbers say something about bands, nothing "
            "about photographs."
        )
    if data.identity is not None and data.identity_of is not None:
        notes.append(f"Data {data.name}: {data.identity}, a digest of {data.identity_of}.")
    if study.repeated:
        notes.append(
            f"{study.repeated} trials were measured again on other data or another device; the "
            "last of each arm and seed counts."
        )
    return notes


def _cost_notes(study: StudyFacts) -> list[str]:
    if not study.uncounted:
        return []
    named = ", ".join(
        f"{operator} ({arms} arm{'s' if arms > 1 else ''})"
        for operator, arms in study.uncounted.items()
    )
    return [f"Neither flops nor elementwise_ops count these operators of timm's models: {named}."]


def _timing_notes(study: StudyFacts) -> list[str]:
    timings = study.timings
    if timings is None:
        return []
    p = timings.protocol
    device = p.get("device", timings.device)
    threads = (
        f", {p['threads']} thread{'s' if p['threads'] != 1 else ''}" if "threads" in p else ""
    )
    layout = f", {p['memory_format']}" if "memory_format" in p else ""
    notes = [
        (
            f"latency_ms: median of timing blocks and its 95 % interval, alone on {device}"
            f"{threads}{layout}; one image, eager, float32 unless its name says otherwise (@b64: "
            "a batch of 64). Differences combine the two intervals."
        )
    ]
    numbers = timings.by_candidate.values()
    disturbed = sum(any(one.disturbed for one in found.values()) for found in numbers)
    if disturbed:
        notes.append(
            f"{disturbed} of {len(timings.by_candidate)} timings were disturbed by other load or "
            "a drifting clock; treat their latencies with care."
        )
    if timings.otherwise:
        notes.append(
            f"{timings.otherwise} timings of another device or protocol are left out: latencies "
            "are compared only when measured alike."
        )
    return notes


def _regimes(study: StudyFacts) -> list[str]:
    compared = set(_CLIPPED) <= {arm.activation for arm in study.measured}
    shares = [arm.mean(_REGIME) for arm in study.measured]
    if not compared or any(shares) or None in shares:
        return []
    return [
        (
            f"{_REGIME} is 0 for every arm: on the images it was measured on (the first of the "
            "evaluation split) nothing exceeds 6, and relu and relu6 are the same function."
        )
    ]
