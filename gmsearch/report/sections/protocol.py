"""How the numbers of a study were measured: splits, tuning, bands, costs and timings."""

from __future__ import annotations

from gmsearch.display import DISTURBED
from gmsearch.report.band_notes import band_notes
from gmsearch.report.facts import StudyFacts
from gmsearch.report.section import Section
from gmsearch.report.tuning import tuning_notes

_REGIME = "share_above_6"
_CLIPPED = ("relu", "relu6")


def protocol_notes(study: StudyFacts) -> list[str]:
    """Return how the numbers of a study were measured; nothing without a completed trial."""
    return measured_notes(study) if study.measured else []


def measured_notes(study: StudyFacts) -> list[str]:
    """Return how the numbers of a study are measured, whether or not there are any yet."""
    return [
        *_split_notes(study),
        *_data_notes(study),
        *tuning_notes(study),
        *band_notes(study),
        *_cost_notes(study),
        *_timing_notes(study),
        *_regime_notes(study),
        *_plugin_notes(study),
        *([f"Software: {', '.join(study.software)}."] if study.software else []),
    ]


def _plugin_notes(study: StudyFacts) -> list[str]:
    notes = [
        f"Plugin {plugin.name} (SHA-256 {plugin.sha256[:16]}): {', '.join(plugin.parts)}."
        for plugin in study.plugins
    ]
    missing = [plugin.name for plugin in study.plugins if plugin.missing]
    if missing:
        notes.append(
            f"The study's copy of {', '.join(missing)} is missing: this report is made from the "
            "records alone."
        )
    return notes


def _split_notes(study: StudyFacts) -> list[str]:
    data = study.data
    size = [f"{data.evaluation} images"] if data.evaluation is not None else []
    size += [f"chance {100 * data.chance:.1f} %"] if data.chance is not None else []
    evaluation = f"the evaluation split ({'; '.join(size)})" if size else "the evaluation split"
    if study.space.search.selects:
        held = f", {data.holdout} images" if data.holdout is not None else ""
        share = 100 * study.space.data.holdout
        return [
            (
                f"Selection used the holdout ({share:g} % of the training split{held}); its "
                f"metrics are prefixed with holdout. All other metrics are on {evaluation}."
            )
        ]
    of = " of arms" if study.space.tune is not None else ""
    return [
        f"No model selection{of}: every arm is reported. Accuracies are on {evaluation}.",
    ]


def _data_notes(study: StudyFacts) -> list[str]:
    data, notes = study.data, []
    if data.synthetic:
        notes.append(
            f"The data set {data.name} is synthetic: its results say something about frequency "
            "bands and nothing about photographs."
        )
    if data.identity is not None and data.identity_of is not None:
        notes.append(
            f"Identity of the data set {data.name}: {data.identity} (a digest of "
            f"{data.identity_of})."
        )
    if study.repeated:
        notes.append(
            f"{study.repeated} trials were repeated on other data or another device; only the "
            "latest of each arm and seed is reported."
        )
    return notes


def _cost_notes(study: StudyFacts) -> list[str]:
    if not study.uncounted:
        return []
    named = ", ".join(
        f"{operator} ({arms} arm{'s' if arms > 1 else ''})"
        for operator, arms in study.uncounted.items()
    )
    return [f"flops and elementwise_ops leave out these operators: {named}."]


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
            "latency_ms: median of timing blocks with its 95 % interval, measured alone on "
            f"{device}{threads}{layout}; one image, eager, float32 unless the name says otherwise "
            "(@b64: a batch of 64). Intervals of differences combine those of both arms."
        )
    ]
    values = timings.by_candidate.values()
    disturbed = sum(any(timed.disturbed for timed in by_metric.values()) for by_metric in values)
    if disturbed:
        notes.append(
            f"{DISTURBED} {disturbed} of {len(timings.by_candidate)} timings were disturbed by "
            "other load or clock drift; treat their latencies with caution, or time them again: "
            f"`gmsearch measure {study.name} --latency --disturbed`."
        )
    if timings.otherwise:
        notes.append(
            f"{timings.otherwise} timings with another device or protocol are left out: latencies "
            "are compared only under equal conditions."
        )
    return notes


def _regime_notes(study: StudyFacts) -> list[str]:
    compared = set(_CLIPPED) <= {arm.activation for arm in study.measured}
    shares = [arm.mean(_REGIME) for arm in study.measured]
    if not compared or any(shares) or None in shares:
        return []
    return [
        (
            f"{_REGIME} is 0 for every arm: on the images measured (the first of the evaluation "
            "split) no activation has an input above 6, so relu and relu6 are the same function "
            "there."
        )
    ]


PROTOCOL = Section(
    name="protocol",
    title="how it was measured",
    always=True,
    facts=lambda report: report.facts,
    notes=protocol_notes,
)
