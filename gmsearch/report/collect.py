"""The facts of a study, computed from its records and its space alone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmsearch import plugins
from gmsearch.experiment import timed
from gmsearch.ledger import Records, Study
from gmsearch.plain import canonical_json
from gmsearch.printable import visible
from gmsearch.records import AskRecord, ImagesPart, RunRecord, State, TimingRecord, TrialRecord
from gmsearch.report.facts import (
    ArmFacts,
    ComparableTimings,
    DataFacts,
    Ending,
    PluginFacts,
    StudyFacts,
    Timed,
)
from gmsearch.space import Space
from gmsearch.status.summary import state_of
from gmsearch.wording import listing

# What a timing's protocol says of the candidate itself; the rest says how it was measured.
_OF_CANDIDATE = ("folded_batch_norms",)


def collect(study: Study) -> StudyFacts:
    """Return the facts of a study; arms that the space now forbids are left out."""
    records, space = study.records, study.space
    allowed, forbidden = [], 0
    for trial in records.trials.values():
        if space.forbidden(space.assignment(trial.params)):
            forbidden += 1
        else:
            allowed.append(trial)
    timings = _timings(records.timings)
    heading, arms = _shortened(_arms(records, space, allowed, timings))
    complete = sum(trial.state is State.COMPLETE for trial in allowed)
    return StudyFacts(
        name=space.study,
        about=space.about,
        space=space,
        data=_data(records, space, allowed, timings),
        heading=heading,
        arms=arms,
        timings=timings,
        endings=_endings(records, space, allowed, forbidden),
        uncounted=_uncounted(records.asks),
        plugins=_plugins(study.folder),
        repeated=complete - sum(len(arm.trials) for arm in arms),
        unfinished=_unfinished(study),
        software=_software(records, allowed),
        mixed=_mixed(records, allowed),
    )


def _unfinished(study: Study) -> str | None:
    state = state_of(study)
    missing = state.total is not None and state.done < state.total
    return state.text if state.state == "running" or missing else None


def _runs_of(records: Records, trials: Iterable[TrialRecord]) -> list[RunRecord]:
    """Return the starts that trained what is reported."""
    used = {trial.run for trial in trials if trial.state is State.COMPLETE}
    return [run for run in records.runs if run.run in used]


def _software(records: Records, trials: Iterable[TrialRecord]) -> tuple[str, ...]:
    runs = _runs_of(records, trials)
    if not runs:
        return ()
    python = runs[-1].extra.get("python")
    versions = [f"{name} {version}" for name, version in runs[-1].packages.items()]
    return (f"Python {python}", *versions) if isinstance(python, str) else tuple(versions)


def _mixed(records: Records, trials: Iterable[TrialRecord]) -> tuple[str, ...]:
    """Return which versions of packages, and numbers of threads, differ between trials."""
    runs = _runs_of(records, trials)
    versions: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.packages.items():
            versions.setdefault(name, set()).add(version)
    threads = {run.threads for run in runs if run.threads is not None}
    mixed = [f"{name} {listing(sorted(v))}" for name, v in versions.items() if len(v) > 1]
    if len(threads) > 1:
        mixed.append(f"resources.cpus {listing(sorted(threads))}")
    return tuple(mixed)


def _plugins(folder: Path) -> tuple[PluginFacts, ...]:
    if not (folder / plugins.DECLARED).exists():
        return ()
    return tuple(
        PluginFacts(
            name=plugin.file.reference,
            sha256=plugin.file.sha256,
            parts=tuple(f"{part.kind} {part.name}" for part in plugin.parts),
            missing=not all(path.is_file() for path in plugin.sources.values()),
        )
        for plugin in plugins.read_declared(folder)
    )


def _arms(
    records: Records,
    space: Space,
    trials: Iterable[TrialRecord],
    timings: ComparableTimings | None,
) -> tuple[ArmFacts, ...]:
    baseline = None if space.baseline is None else space.arm(space.baseline).digest
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(trial.arm, []).append(trial)
    origin = {arm: _asked_as(space, group[0]) for arm, group in groups.items()}
    asked = {ask.arm: number for number, ask in reversed(list(enumerate(records.asks)))}
    order = sorted(
        groups, key=lambda arm: (origin[arm] != baseline, asked.get(origin[arm], len(asked)))
    )
    tuned = space.tune.values if space.tune is not None else ()
    arms = []

    def measured(trial: TrialRecord) -> Mapping[str, float]:
        return records.metrics(trial, space.bands)

    for digest in order:
        group = groups[digest]
        latest = {trial.seed: trial for trial in group if trial.state is State.COMPLETE}
        seeds = sorted(latest)
        # The only arm of a space without parameters is called as its study.
        label = visible(space.label(space.assignment(group[0].params))) or space.study
        gate = group[0].candidate.get("gate")
        arms.append(
            ArmFacts(
                digest=digest,
                label=label,
                short=label,
                params=group[0].params,
                baseline=origin[digest] == baseline,
                # A plugin's family may call anything its gate.
                activation=gate.get("activation") if isinstance(gate, Mapping) else None,
                keys={seed: latest[seed].key for seed in seeds},
                trials={seed: measured(latest[seed]) for seed in seeds},
                tuned={name: group[0].recipe[name] for name in tuned},
                scaled=tuple(group[0].candidate[space.match.by]) if space.match else (),
                timings=timings.by_candidate.get(group[0].digest, {}) if timings else {},
            )
        )
    return tuple(arms)


def _uncounted(asks: Iterable[AskRecord]) -> dict[str, int]:
    by_arm = {ask.arm: ask.uncounted for ask in asks}
    counts = Counter(operator for operators in by_arm.values() for operator in operators)
    return dict(sorted(counts.items()))


def _asked_as(space: Space, trial: TrialRecord) -> str:
    """Return the digest of the arm as proposed: not tuned, not matched."""
    if space.tune is None and space.match is None:
        return trial.arm
    return space.arm(space.assignment(trial.params)).digest


def _shortened(arms: Sequence[ArmFacts]) -> tuple[str, tuple[ArmFacts, ...]]:
    """Remove from the labels what they share: the names, if all have the same ones."""
    parts = [[part.partition("=") for part in arm.label.split(" ")] for arm in arms]
    names = {tuple(name for name, _, _ in row) for row in parts}
    if len(names) != 1 or not all(equals for row in parts for _, equals, _ in row):
        return "arm", tuple(arms)
    shorts = [" · ".join(value for _, _, value in row) for row in parts]
    pairs = zip(arms, shorts, strict=True)
    return " · ".join(*names), tuple(dataclasses.replace(arm, short=s) for arm, s in pairs)


def _timings(records: Iterable[TimingRecord]) -> ComparableTimings | None:
    done = [record for record in records if record.metrics]
    if not done:
        return None
    setup = _setup(done[-1])
    alike = [record for record in done if _setup(record) == setup]
    counting: dict[tuple[str, str], TimingRecord] = {}
    for record in alike:
        if record.counts_before(counting.get((record.digest, record.request))):
            counting[record.digest, record.request] = record
    by_candidate: dict[str, dict[str, Timed]] = {}
    for record in counting.values():
        by_candidate.setdefault(record.digest, {}).update(_timed_values(record))
    return ComparableTimings(
        device=done[-1].device,
        protocol=_protocol(done[-1]),
        by_candidate=by_candidate,
        otherwise=len(done) - len(alike),
    )


def _timed_values(record: TimingRecord) -> dict[str, Timed]:
    metrics = record.metrics or {}
    return {
        name: Timed(
            value=value,
            low=metrics.get(f"{name}.low"),
            high=metrics.get(f"{name}.high"),
            disturbed=bool(record.disturbed),
            ratio=metrics.get(name.replace("latency_ms", "latency_ratio"))
            if name.startswith("latency_ms")
            else None,
        )
        for name, value in metrics.items()
        if timed(name)
    }


def _protocol(record: TimingRecord) -> dict[str, Any]:
    """Return how a timing was measured, without the part of its protocol about the candidate."""
    return {k: v for k, v in (record.protocol or {}).items() if k not in _OF_CANDIDATE}


def _setup(record: TimingRecord) -> str:
    return canonical_json([record.device, _protocol(record)])


def _data(
    records: Records,
    space: Space,
    trials: Iterable[TrialRecord],
    timings: ComparableTimings | None,
) -> DataFacts:
    runs = [run for run in records.runs if run.images is not None]
    run = runs[-1] if runs else None
    images = ImagesPart() if run is None or run.images is None else run.images
    protocol = timings.protocol if timings else {}
    spec = space.data
    side = getattr(spec, "resolution", None)
    return DataFacts(
        name=spec.name,
        synthetic=spec.synthetic,
        resolution=images.resolution or side or protocol.get("resolution"),
        evaluation=images.evaluation or getattr(spec, "evaluation_images", None),
        holdout=images.holdout,
        chance=next((t.metrics["chance"] for t in trials if "chance" in t.metrics), None),
        identity=run.data or None if run is not None else None,
        identity_of=images.identity_of,
    )


def _endings(
    records: Records, space: Space, trials: Iterable[TrialRecord], forbidden: int
) -> tuple[Ending, ...]:
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    trained = set()
    for trial in trials:
        trained.add(_asked_as(space, trial))
        groups.setdefault((trial.state.value, trial.failure or ""), []).append(trial)
    endings = []
    for (state, failure), group in sorted(groups.items()):
        reason = _failure_reason(failure, [trial.error for trial in group])
        endings.append(Ending(state=state, count=len(group), of="trials", reason=reason))
    last = {(record.key, record.request): record for record in records.timings}
    lost = [record for record in last.values() if record.failure is not None]
    if lost:
        reason = _failure_reason(lost[0].failure or "", [record.error for record in lost])
        endings.append(Ending(state="FAILED", count=len(lost), of="timings", reason=reason))
    untuned = [tuned for tuned in records.tuned.values() if tuned.chosen is None]
    if untuned:
        values = ", ".join(untuned[0].tried[0].values)
        reason = f"training failed with every value of {values}"
        endings.append(Ending(state="FAILED", count=len(untuned), of="arms", reason=reason))
    broken: dict[str, set[str]] = {}
    for record in records.infeasible:
        if record.arm not in trained:
            broken.setdefault(_broken_text(space, record.violations), set()).add(record.arm)
    endings += [
        Ending(
            state=State.INFEASIBLE.value,
            count=len(arms),
            of="arms",
            reason=f"{reason} before training",
        )
        for reason, arms in sorted(broken.items())
    ]
    if forbidden:
        reason = "the space now forbids their arms"
        endings.append(Ending(state="LEFT OUT", count=forbidden, of="trials", reason=reason))
    return tuple(endings)


def _broken_text(space: Space, violations: Mapping[str, float]) -> str:
    match = space.match
    unmatched = f"match.{match.metric}" if match is not None else ""
    bounds = ", ".join(name for name in sorted(violations) if name != unmatched)
    reasons = [f"{bounds} out of bounds"] if bounds else []
    if match is not None and unmatched in violations:
        reasons.append(f"no {match.by} match the baseline's {match.metric}")
    return "; ".join(reasons)


def _failure_reason(failure: str, errors: Iterable[str | None]) -> str:
    """Return the class of a failure and the last line of the first error, which names it."""
    lines = [line for error in errors for line in (error or "").strip().splitlines()[-1:]]
    return ": ".join(filter(None, [failure, *map(visible, lines[:1])]))
