"""Every metric once: when it is known, its unit, which direction is better, how it is shown.

A metric's name may be that of a family with its parameters filled in, such as `high@10`,
`latency_ms@b64.graph` or `majority.low@4`; it may begin with `holdout.`, and a protocol in
brackets may follow it, as in `high@10[dc=drop]`. `lookup` resolves all of these to their row.
To add a metric, add a row here and compute its value where its inputs are.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable
from typing import Literal

from gmsearch.errors import InputError
from gmsearch.wording import near

Known = Literal["static", "timed", "trained"]
Better = Literal["lower", "higher"]
SplitName = Literal["training", "holdout", "evaluation"]
Form = Literal["share", "count", "time", "rate", "memory", "plain"]

HOLDOUT = "holdout."
"""Prefix of a metric measured on the holdout of the training split."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
_CONDITION = r"(?:@b[1-9][0-9]*(?:\.\w+)*)?(?:\.(?:low|high))?"
_VERSION = rf"(?:raw|nodc|(?:low|high)@{_NUMBER}|band@{_NUMBER}:{_NUMBER})"
_PROTOCOL = re.compile(r"\[[^\]]*\]$")
_PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BOTH: tuple[SplitName, ...] = ("holdout", "evaluation")
_EVALUATION: tuple[SplitName, ...] = ("evaluation",)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric, or one family of metrics."""

    name: str
    """The metric's name; a family's name shows where its parameters go, such as `low@r`."""

    known: Known
    """static: before training, from the candidate alone; timed: before training, on a device;
    trained: after training, once per seed."""

    unit: str
    """Unit of the stored value; empty for a plain count or number."""

    better: Better
    """The better direction, unless an objective declares another."""

    form: Form
    """share: a fraction in 0..1, shown in %; count: an integer, shown with k, M or G; time: ms;
    rate: images per second; memory: 10^6 bytes; plain: the number as it is."""

    text: str
    """What the metric means."""

    splits: tuple[SplitName, ...] = ()
    """Splits it is measured on; empty unless trained."""

    objective: bool = True
    """Whether objectives and constraints may name it."""

    family: str = ""
    """Regular expression of the names of a family; empty for a single name."""

    by_protocol: bool = False
    """Whether the value depends on how band images are made."""

    per_version: bool = False
    """Whether it is also measured on the versions of the images, such as bands, as
    `NAME.VERSION`."""

    source: str | None = None
    """SHA-256 of the plugin file that defines it; None for a metric of this package."""

    @property
    def sign(self) -> int:
        """The factor that makes smaller better."""
        return 1 if self.better == "lower" else -1

    def matches(self, name: str) -> bool:
        """Return whether `name`, without prefix and protocol, is this metric's or its family's."""
        if self.family:
            return re.fullmatch(self.family, name) is not None
        return name == self.name


def _trained(
    name: str, better: Better, text: str, *, unit: str = "fraction", form: Form = "share"
) -> Metric:
    return Metric(
        name=name, known="trained", unit=unit, better=better, form=form, text=text, splits=_BOTH
    )


def _per_version(metric: Metric) -> Metric:
    """Return a trained metric as measured on whole images and on every version of them."""
    family = rf"{metric.name}(?:\.{_VERSION})?"
    return dataclasses.replace(metric, family=family, by_protocol=True, per_version=True)


def _band(name: str, family: str, text: str) -> Metric:
    row = _trained(name, "higher", text)
    return dataclasses.replace(row, family=family, by_protocol=True)


def _static(name: str, unit: str, text: str) -> Metric:
    return Metric(name=name, known="static", unit=unit, better="lower", form="count", text=text)


def _timed_row(name: str, unit: str, better: Better, form: Form, text: str) -> Metric:
    return Metric(
        name=name,
        known="timed",
        unit=unit,
        better=better,
        form=form,
        text=text,
        family=f"{name}{_CONDITION}",
    )


def _recorded(
    name: str,
    known: Known,
    text: str,
    *,
    unit: str = "fraction",
    splits: tuple[SplitName, ...] = (),
) -> Metric:
    """Return a metric that records carry and no objective may name."""
    return Metric(
        name=name,
        known=known,
        unit=unit,
        better="lower",
        form="plain",
        text=text,
        splits=splits,
        objective=False,
        family=f"{name}{_CONDITION}" if known == "timed" else "",
    )


_ROWS = (
    _trained("top1", "higher", "Share of images whose largest logit is the label's."),
    _trained("top5", "higher", "Share of images with the label among the five largest logits."),
    _trained(
        "loss",
        "lower",
        "Mean cross-entropy, without label smoothing.",
        unit="nats",
        form="plain",
    ),
    dataclasses.replace(
        _trained("nodc", "higher", "top1 on whole images without their mean."), by_protocol=True
    ),
    _band("low@r", rf"low@{_NUMBER}", "top1 on low-pass images: frequencies within r bins."),
    _band("high@r", rf"high@{_NUMBER}", "top1 on high-pass images: frequencies beyond r bins."),
    _band(
        "band@a:b",
        rf"band@{_NUMBER}:{_NUMBER}",
        "top1 on band-pass images: frequencies from a up to b bins.",
    ),
    _static("params", "", "Trainable parameters."),
    _static("flops", "multiply-accumulates", "Multiply-accumulates per image as fvcore counts."),
    _static(
        "elementwise_ops",
        "operations",
        "Products, additions and activations per image, which flops leaves out.",
    ),
    _static("activation_elements", "elements", "Elements that activations touch per image."),
    _timed_row("latency_ms", "ms", "lower", "time", "Time of one forward pass of a batch."),
    _timed_row("throughput_ips", "images/s", "higher", "rate", "Images per second."),
    _timed_row(
        "peak_memory_mb", "MB", "lower", "memory", "Peak memory of a forward pass (GPU only)."
    ),
    _recorded(
        *("train_loss", "trained", "Mean loss over an epoch."), unit="nats", splits=("training",)
    ),
    dataclasses.replace(
        _recorded("majority.v", "trained", "Largest share of one predicted class on version v."),
        family=rf"majority\.{_VERSION}",
        splits=_BOTH,
        by_protocol=True,
    ),
    _recorded("chance", "trained", "Share of the most frequent class.", splits=_EVALUATION),
    _recorded("share_below_0", "trained", "Share of activation inputs < 0.", splits=_EVALUATION),
    _recorded("share_above_6", "trained", "Share of activation inputs > 6.", splits=_EVALUATION),
    _recorded("latency_ratio", "timed", "Latency as a multiple of the reference's.", unit=""),
    _recorded("reference_ms", "timed", "Latency of the reference network.", unit="ms"),
    _recorded("drift", "timed", "Relative change of the reference's latency while timing."),
    _recorded("foreign_load", "timed", "Cores kept busy by other processes.", unit="cores"),
    _recorded("foreign_gpu_share", "timed", "Share of the GPU used by other processes."),
)
_TABLE = {row.name: row for row in _ROWS}

STATIC_METRICS = tuple(row.name for row in _ROWS if row.known == "static")
"""Metrics known before training from the candidate alone."""
TIMED_METRICS = tuple(row.name for row in _ROWS if row.known == "timed" and row.objective)
"""Metrics measured under every timing condition; the last on a GPU only."""


def names(known: Known | None = None) -> tuple[str, ...]:
    """Return the single metrics an objective may name, those of plugins included.

    Bands and timing conditions other than the default are left out: a space's own bands decide
    which of them it measures.
    """
    return tuple(
        row.name
        for row in _TABLE.values()
        if row.objective and "@" not in row.name and known in (None, row.known)
    )


def names_on(versions: Iterable[str]) -> tuple[str, ...]:
    """Return the metrics an objective may name on versions of the images, such as bands.

    These are the versions themselves, for top1, and `NAME.VERSION` for every metric that is
    measured per version, such as a plugin's.
    """
    versions = tuple(versions)
    added = names_per_version()
    return (*versions, *(f"{name}.{version}" for name in added for version in versions))


def names_per_version() -> tuple[str, ...]:
    """Return the metrics that are measured on every version of the images."""
    return tuple(row.name for row in _TABLE.values() if row.per_version)


def band_pattern() -> str:
    """Return the regular expression of the metrics on bands that an objective may name."""
    return "|".join(
        row.family for row in _TABLE.values() if row.by_protocol and row.objective and row.family
    )


def rows() -> tuple[Metric, ...]:
    """Return all metrics, those of plugins last."""
    return tuple(_TABLE.values())


def lookup(name: str) -> Metric:
    """Return the row that a metric's full name belongs to.

    Raises:
        InputError: there is no such metric, or none on the holdout; lists the valid names.
    """
    row = _find_row(name)
    if row is None:
        raise InputError(f"expected the name of a metric, got {name!r}; {near(name, _TABLE)}")
    return row


def is_metric(name: str) -> bool:
    """Return whether `lookup` has a row for the name."""
    return _find_row(name) is not None


def is_trained(name: str) -> bool:
    """Return whether a metric is measured after training, once per seed."""
    return lookup(name).known == "trained"


def majority(name: str) -> str | None:
    """Return the metric with the largest share of one predicted class on the images of `name`.

    None unless `name` is a top-1 accuracy, on whole images or on a band.
    """
    split = HOLDOUT if name.startswith(HOLDOUT) else ""
    version = name.removeprefix(HOLDOUT)
    version = "raw" if version == "top1" else version
    share = f"{split}majority.{version}"
    return share if is_metric(share) else None


@functools.cache
def _find_row(name: str) -> Metric | None:
    bare = name.removeprefix(HOLDOUT)
    stripped = _PROTOCOL.sub("", bare)
    for row in _TABLE.values():
        if (
            row.matches(stripped)
            and (bare == name or "holdout" in row.splits)
            and (stripped == bare or row.by_protocol)
        ):
            return row
    return None


def register(name: str, *, better: Better, source: str, text: str = "") -> Metric:
    """Add a trained metric of a plugin and return its row.

    It is measured on the holdout and the evaluation split under `name`, and on version v of the
    images (`nodc`, `low@r`, `high@r`, `band@a:b`) under `name.v`.

    Args:
        name: lower-case letters, digits and underscores, beginning with a letter.
        better: `lower` or `higher`.
        source: SHA-256 of the file that defines it.
        text: what the metric means, a sentence.

    Raises:
        InputError: the name is taken or malformed, or `better` is neither word.
    """
    if _PLUGIN_NAME.fullmatch(name) is None:
        raise InputError(
            f"expected a metric's name of lower-case letters, digits and underscores, got {name!r}"
        )
    if name in _reserved():
        raise InputError(f"metric {name!r} exists already; register it under another name")
    if better not in ("lower", "higher"):
        raise InputError(f"metric {name!r}: expected better='lower' or 'higher', got {better!r}")
    metric = _per_version(_trained(name, better, text, unit="", form="plain"))
    row = dataclasses.replace(metric, source=source)
    _TABLE[name] = row
    _find_row.cache_clear()
    return row


def forget(source: str) -> None:
    """Remove the metrics registered from a plugin file, given by its SHA-256."""
    for name in [row.name for row in _TABLE.values() if row.source == source]:
        del _TABLE[name]
    _find_row.cache_clear()


def _reserved() -> set[str]:
    """Return the first words of all names, which a plugin's metric may not take."""
    words = {re.split(r"\W", name)[0] for name in _TABLE}
    return {*words, "holdout", "raw"}
