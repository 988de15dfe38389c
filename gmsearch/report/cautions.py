"""What a reader must know before any number of a report: it comes first, in every output."""

from __future__ import annotations

from gmsearch.metrics import majority
from gmsearch.report.facts import ArmFacts, StudyFacts
from gmsearch.wording import listing

_NAMED = 5
_COLLAPSED = 0.95


def cautions(study: StudyFacts) -> list[str]:
    """Return what makes the numbers of a study preliminary, meaningless or unequal."""
    found = [] if study.unfinished is None else [f"Preliminary: {study.unfinished}."]
    if study.at_chance:
        found.append(_at_chance(study))
    if study.mixed:
        found.append(
            f"The trials were not made alike: {'; '.join(study.mixed)}. Differences may be due to "
            "that alone."
        )
    return found


def _at_chance(study: StudyFacts) -> str:
    chance = study.metric("top1").with_unit(study.data.chance or 0.0)
    if len(study.at_chance) == len(study.measured):
        return (
            f"No network is measurably above chance ({chance}): comparisons between them say "
            "nothing; train longer, or evaluate on more images."
        )
    named = [_named(arm) for arm in study.at_chance[:_NAMED]]
    more = len(study.at_chance) - len(named)
    if more:
        named.append(f"{more} more")
    return (
        f"Not measurably above chance ({chance}): {listing(named)}; comparisons with "
        f"{'them' if len(named) > 1 else 'it'} say nothing."
    )


def _named(arm: ArmFacts) -> str:
    metric = majority("top1")
    share = arm.mean(metric) if metric is not None else None
    if share is None or share < _COLLAPSED:
        return arm.label
    return f"{arm.label} (predicts one class for {100 * share:.0f} % of the images)"
