"""Checks across the sections of a space file."""

from __future__ import annotations

from collections.abc import Sequence

from gmsearch.experiment import Bands, Constraint, DataSpec
from gmsearch.metrics import names, names_on
from gmsearch.space.methods import METHODS
from gmsearch.space.settings import Search, Tune
from gmsearch.space.space import Space
from gmsearch.spacefile.references import Drafts
from gmsearch.spacefile.yaml import Node
from gmsearch.wording import near, shown, spelled

_NO_BASELINE = "there is no baseline; add `baseline: {PATH: VALUE, …}`"


def check_method(search: Search, drafts: Drafts, root: Node) -> None:
    """Report a missing baseline, and continuous domains, where the method needs otherwise."""
    method = METHODS[search.method]
    if method.baseline and "baseline" not in root.mapping:
        root.mapping["search"].mapping["method"].wrong(
            f"{search.method} starts from a baseline; add `baseline: {{PATH: VALUE, …}}`"
        )
    for draft in drafts.values():
        continuous = draft.domain is not None and draft.domain.values() is None
        if continuous and method.enumerates:
            draft.node.wrong(f"{search.method} needs a finite domain; add `steps: N`")


def check_constraints(constraints: Sequence[Constraint], root: Node) -> None:
    """Report a multiple of the baseline where there is no baseline."""
    if "baseline" in root.mapping:
        return
    for constraint in constraints:
        for key, bound in (("min", constraint.minimum), ("max", constraint.maximum)):
            if bound is not None and bound.of_baseline:
                node = root.mapping["constraints"].mapping[constraint.metric].mapping[key]
                node.wrong(f"{_NO_BASELINE}, or give a number")


def check_holdout(
    data: DataSpec, bands: Bands | None, search: Search | None, tune: Tune | None, root: Node
) -> None:
    """Report an empty holdout that something is to be measured on."""
    if data.holdout > 0:
        return
    node = root.mapping["data"].mapping["holdout"]
    selects = search is not None and search.selects
    if search is not None and selects:
        node.wrong(
            f"{search.method} selects on the holdout, never on the evaluation split; give a "
            "share above 0, such as 0.1"
        )
    elif bands is not None and bands.every and bands.curves == "holdout":
        node.wrong(
            "0 leaves no images for the curves of every epoch; raise it, or set "
            "`bands: {every: 0}` or `bands: {curves: evaluation}`"
        )
    if tune is not None:
        node.wrong("`tune` selects on the holdout; give a share above 0, such as 0.1")


def check_tune_options(tune: Tune, bands: Bands, search: Search | None, root: Node) -> None:
    """Report a metric that is not measured, and a seed whose numbers are reported."""
    node = root.mapping["tune"]
    known = (*names("trained"), *names_on(bands.metrics))
    if tune.metric not in known:
        node.mapping["metric"].wrong(
            f"{shown(tune.metric)} is not measured after training; {near(tune.metric, known)}"
        )
    if search is not None and tune.seed in search.seeds:
        at = node.mapping["seed"].position if "seed" in node.mapping else node.key
        node.named("tune.seed").wrong(
            f"{tune.seed} is one of `search.seeds`, whose numbers are reported; give another", at
        )


def check_forbid(space: Space, root: Node) -> None:
    """Report a forbidden baseline, or a `forbid` that leaves no assignment."""
    if space.baseline is not None and space.forbidden(space.baseline):
        node = root.mapping["baseline"]
        node.wrong(f"{spelled(space.baseline)} is forbidden; change it, or `forbid`", node.key)
    elif space.count() == 0:
        node = root.mapping["forbid"]
        node.wrong("every assignment is forbidden; remove an entry", node.key)
