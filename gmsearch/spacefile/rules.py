"""What the sections of a space file ask of each other."""

from __future__ import annotations

import math
import os
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gmsearch.errors import FieldError
from gmsearch.experiment import DATA_SPECS, Bands, Constraint, DataSpec, Spectral
from gmsearch.space.settings import Resources, Search
from gmsearch.space.space import Space
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.nodes import Node
from gmsearch.spacefile.references import Drafts
from gmsearch.spacefile.sections import validated
from gmsearch.wording import compact, near, shown, spelled

DATA_VARIABLE = "GMSEARCH_DATA"
"""The environment variable that says where the images of a stored set lie."""
_SIDES = {"spectral": Spectral().resolution, "cifar10": 32, "cifar100": 32}


def plugins_from_file(node: Node, mistakes: Mistakes) -> tuple[str, ...]:
    """Return the names of plugins, files relative to the space file or installed packages."""
    if not isinstance(node.value, tuple):
        mistakes.add(
            node.place,
            f"plugins: expected a list of files or packages, got {shown(node.plain())}; "
            "give [my_gates.py]",
        )
        return ()
    names = []
    for index, child in enumerate(node.value):
        if not isinstance(child.value, str):
            mistakes.add(
                child.place,
                f"plugins.{index}: expected a file or a package, got {shown(child.plain())}",
            )
        elif child.value in names:
            mistakes.add(
                child.place, f"plugins.{index}: {child.value} is listed twice; remove one"
            )
        else:
            names.append(child.value)
    return tuple(names)


def data_from_file(node: Node, data_root: Path | None, mistakes: Mistakes) -> DataSpec | None:
    """Return the data; the given root overrides the environment's, which overrides the file's."""
    name = node.mapping.get("name")
    if name is None:
        remedy = near("", DATA_SPECS)
        mistakes.add(node.key, f"data: name is missing; {remedy}")
        return None
    if not isinstance(name.value, str) or name.value not in DATA_SPECS:
        remedy = near(name.value, DATA_SPECS)
        mistakes.add(name.place, f"data: {shown(name.plain())} is not a data set; {remedy}")
        return None
    cls = DATA_SPECS[name.value]
    allowed = _can_stream_so(cls, name.value, node, mistakes)
    values = validated(cls, node, "data", mistakes) if allowed else None
    if values is not None and "root" in values:
        values["root"] = _root(values["root"], node, data_root, mistakes)
        values = values if values["root"] is not None else None
    return None if values is None else _spec(cls, values, node, mistakes)


def _spec(
    cls: type[DataSpec], values: Mapping[str, Any], node: Node, mistakes: Mistakes
) -> DataSpec | None:
    try:
        return cls(**values)
    except FieldError as error:
        for one in error.errors:
            place = node.mapping[one.path].place if one.path in node.mapping else node.key
            mistakes.add(place, f"data.{one.path}: {one.message}")
        return None


def _root(given: str | None, node: Node, data_root: Path | None, mistakes: Mistakes) -> str | None:
    """Return the absolute path of the folder of images."""
    root = data_root or os.environ.get(DATA_VARIABLE) or given
    if root is None:
        mistakes.add(
            node.key,
            f"data: root is missing; add `root: FOLDER`, or give --data-root or {DATA_VARIABLE}",
        )
        return None
    try:
        return str(Path(root).expanduser().absolute())
    except RuntimeError:
        mistakes.add(node.key, f"data: {shown(str(root))} has no home folder; write the path out")
        return None


def _can_stream_so(cls: type[DataSpec], name: str, node: Node, mistakes: Mistakes) -> bool:
    """Return whether `stream` is a value that the data set allows."""
    stream = node.mapping.get("stream")
    if stream is None or not isinstance(stream.value, bool):
        return True
    if stream.value in _stream_values(cls):
        return True
    remedy = f"{name} is always streamed"
    if stream.value:
        names = ", ".join(n for n, other in DATA_SPECS.items() if True in _stream_values(other))
        remedy = f"{name} cannot be streamed, only {names}"
    mistakes.add(stream.place, f"data.stream: {remedy}; remove it")
    return False


def _stream_values(cls: type[DataSpec]) -> tuple[bool, ...]:
    """Return the values that the field `stream` of a data set may have."""
    hint = typing.get_type_hints(cls).get("stream", Literal[False])
    return typing.get_args(hint) or (False, True)


def bands_from_file(node: Node, data: Node, mistakes: Mistakes) -> Bands | None:
    """Return the bands if each has a bin in the images of `data`, and none is there twice."""
    before = len(mistakes)
    values = validated(Bands, node, "bands", mistakes)
    farthest = _farthest_bin(data)
    _check_twice(_items(node, "radii"), "bands.radii", mistakes)
    _check_twice(_items(node, "ranges"), "bands.ranges", mistakes)
    for item in _items(node, "radii"):
        _check_radius(item, "bands.radii", farthest, mistakes)
    for item in _items(node, "ranges"):
        ends = item.value if isinstance(item.value, tuple) else ()
        for end in ends[1:]:
            _check_radius(end, "bands.ranges", farthest, mistakes)
        numbers = [end.value for end in ends if isinstance(end.value, (int, float))]
        if len(numbers) == 2 and numbers[0] >= numbers[1]:
            mistakes.add(
                item.place,
                f"bands.ranges: {shown(item.plain())} is empty; give the lower end first",
            )
    return Bands(**values) if values is not None and len(mistakes) == before else None


def _items(node: Node, key: str) -> tuple[Node, ...]:
    """Return the items of a list; none where the form has told that it is no list."""
    items = node.mapping[key].value if key in node.mapping else ()
    return items if isinstance(items, tuple) else ()


def _check_twice(items: Sequence[Node], path: str, mistakes: Mistakes) -> None:
    """Add a mistake for what is there before; numbers are the same if metrics print them so."""
    seen: set[str] = set()
    for item in items:
        name = compact(item.plain())
        if name in seen:
            mistakes.add(item.place, f"{path}: {name} is there twice; remove one")
        seen.add(name)


def _farthest_bin(data: Node) -> float | None:
    """Return the distance of the corner bin of the centred DFT; None where no side is known."""
    name, given = data.mapping.get("name"), data.mapping.get("resolution")
    side = given.value if given is not None else _SIDES.get(str(name.value if name else None))
    return side // 2 * math.sqrt(2) if isinstance(side, int) else None


def _check_radius(node: Node, path: str, farthest: float | None, mistakes: Mistakes) -> None:
    radius = node.value
    if farthest is not None and isinstance(radius, (int, float)) and radius >= farthest:
        mistakes.add(
            node.place,
            f"{path}: {radius:g} is beyond the image, whose farthest bin lies at {farthest:.4g}; "
            "give a smaller one",
        )


def search_from_file(node: Node, mistakes: Mistakes) -> Search | None:
    """Return the search; None where a part of it is mistaken."""
    values = validated(Search, node, "search", mistakes)
    if values is None:
        return None
    seeds = values["seeds"]
    try:
        return Search(
            **{
                **values,
                "seeds": tuple(range(seeds)) if isinstance(seeds, int) else seeds,
                "max_failed": _share(values["max_failed"]),
            }
        )
    except FieldError as error:
        for one in error.errors:
            child = node.descend(one.path)
            place = node.key if child is None else child.place
            mistakes.add(place, f"search.{one.path}: {one.message}")
        return None


def _share(said: Any) -> Any:
    return float(said.rstrip("% ")) / 100 if isinstance(said, str) else said


def resources_from_file(node: Node, mistakes: Mistakes) -> Resources | None:
    """Return the resources of a trial."""
    values = validated(Resources, node, "resources", mistakes)
    return None if values is None else Resources(**values)


def check_method(search: Search, drafts: Drafts, root: Node, mistakes: Mistakes) -> None:
    """Add a mistake for what the method needs and another section does not give."""
    method, at = search.method, root.mapping["search"].mapping["method"].place
    if method == "ablation" and "baseline" not in root.mapping:
        mistakes.add(
            at, "search.method: ablation starts from a baseline; add `baseline: {PATH: VALUE, …}`"
        )
    for path, draft in drafts.items():
        continuous = draft.domain is not None and draft.domain.values() is None
        if continuous and not search.selects:
            mistakes.add(
                draft.node.place, f"{path}: {method} needs single values; add `steps: N` beside it"
            )


def check_constraints(constraints: Sequence[Constraint], root: Node, mistakes: Mistakes) -> None:
    """Add a mistake for a multiple of a baseline that is not there."""
    if "baseline" in root.mapping:
        return
    for constraint in constraints:
        for key, bound in (("min", constraint.minimum), ("max", constraint.maximum)):
            if bound is not None and bound.of_baseline:
                mistakes.add(
                    root.mapping["constraints"].mapping[constraint.metric].mapping[key].place,
                    f"constraints.{constraint.metric}.{key}: there is no baseline; "
                    "add `baseline: {PATH: VALUE, …}`, or give a number",
                )


def check_holdout(
    data: DataSpec, bands: Bands | None, search: Search | None, root: Node, mistakes: Mistakes
) -> None:
    """Add a mistake for a holdout of no images that something is to be measured on."""
    if data.holdout > 0:
        return
    at = root.mapping["data"].mapping["holdout"].place
    if search is not None and search.selects:
        mistakes.add(
            at,
            f"data.holdout: {search.method} chooses by the holdout, never by the evaluation "
            "split; give a share above 0, such as 0.1",
        )
    elif bands is not None and bands.every and bands.curves == "holdout":
        mistakes.add(
            at,
            "data.holdout: 0 leaves no images for the curves of every epoch; "
            "raise it, or set `bands: {every: 0}` or `bands: {curves: evaluation}`",
        )


def check_forbid(space: Space, root: Node, mistakes: Mistakes) -> None:
    """Add a mistake for a baseline that is forbidden, or a space that is so as a whole."""
    if space.baseline is not None and space.forbidden(space.baseline):
        mistakes.add(
            root.mapping["baseline"].key,
            f"baseline: {spelled(space.baseline)} is forbidden; change it, or `forbid`",
        )
    elif space.count() == 0:
        mistakes.add(root.mapping["forbid"].key, "forbid: leaves no candidate; remove an entry")
