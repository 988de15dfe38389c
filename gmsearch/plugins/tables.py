"""The rows of plugins' parts in the tables of gmsearch, next to the built-in rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gmsearch import metrics
from gmsearch.errors import FieldError, InputError
from gmsearch.experiment.data import DATA_SPECS, StreamableImages
from gmsearch.experiment.plugin import PluginFile
from gmsearch.networks.candidate import FAMILIES, FamilyRow
from gmsearch.networks.count import Count, PartCost, forget_counts
from gmsearch.networks.count import part as counted
from gmsearch.networks.families import adopted
from gmsearch.networks.gate import ACTIVATIONS, PRODUCTS, ActivationRow, ProductRow, Site
from gmsearch.plugins.parts import Key, Kind, Part, Plugin, located

_ENTERED: dict[Key, tuple[Part, PluginFile]] = {}


class _Kind(NamedTuple):
    """How the parts of one kind enter their table and leave it."""

    reserved: Callable[[], Collection[str]]
    enter: Callable[[Part, PluginFile], None]
    leave: Callable[[str, PluginFile], Any]


def reserved(kind: Kind) -> Collection[str]:
    """Return the names of built-in rows, which no plugin may take."""
    return _PART_KINDS[kind].reserved()


def enter(plugin: Plugin) -> None:
    """Enter the parts of a plugin, instead of other plugins' parts of the same names."""
    for part in plugin.parts:
        _remove(part.key)
    for part in plugin.parts:
        _PART_KINDS[part.kind].enter(part, plugin.file)
        _ENTERED[part.key] = part, plugin.file
    forget_counts()


def clear() -> None:
    """Remove the parts of all plugins from the tables."""
    for key in list(_ENTERED):
        _remove(key)
    forget_counts()


def entered_part(key: Key) -> tuple[Part, PluginFile] | None:
    """Return a part that is in the tables, with the plugin it is from."""
    return _ENTERED.get(key)


def entered(key: Key) -> PluginFile | None:
    """Return the plugin that a part in the tables is from; None where there is no such part."""
    return _ENTERED[key][1] if key in _ENTERED else None


def metric_parts(files: Sequence[PluginFile]) -> dict[str, tuple[Part, PluginFile]]:
    """Return the metrics of some plugins by name."""
    return {
        part.name: (part, file)
        for part, file in _ENTERED.values()
        if part.kind == "metric" and file in files
    }


def _remove(key: Key) -> None:
    if key in _ENTERED:
        _, file = _ENTERED.pop(key)
        _PART_KINDS[key[0]].leave(key[1], file)


def _enter_activation(part: Part, file: PluginFile) -> None:
    def build() -> Any:
        from gmsearch.plugins.modules import activation_module

        return activation_module(part, file)

    ACTIVATIONS[part.name] = ActivationRow(
        text=located(part, file), steps=part.steps, build=build, source=file.sha256
    )


def _enter_product(part: Part, file: PluginFile) -> None:
    def build(site: Site) -> Any:
        from gmsearch.plugins.modules import product_module

        return product_module(part, file, site.width, site.kernel_size if part.kernel else None)

    def count(site: Site, side: int) -> PartCost:
        assert part.cost is not None, "only called where a cost is stated"
        return _stated(part, part.cost(site.width, side))

    PRODUCTS[part.name] = ProductRow(
        text=located(part, file),
        count=None if part.cost is None else count,
        kernel=part.kernel,
        has_moments=False,
        build=build,
        source=file.sha256,
    )


def _enter_family(part: Part, file: PluginFile) -> None:
    def build(spec: Any, num_classes: int) -> Any:
        from gmsearch.plugins.modules import network

        return network(part, file, part_arguments(part, spec), num_classes)

    def parts(spec: Any, num_classes: int, resolution: int, _in_chans: int) -> list[PartCost]:
        assert part.cost is not None, "only called where a cost is stated"
        return [_stated(part, part.cost(spec, num_classes, resolution))]

    FAMILIES[part.name] = FamilyRow(
        spec=adopted(_spec(part, file), part.name),
        text=located(part, file),
        parts=None if part.cost is None else parts,
        build=build,
        source=file.sha256,
    )


def _spec(part: Part, file: PluginFile) -> type[Any]:
    """Return a frozen dataclass of a family's arguments, which the plugin's own dataclass checks.

    It is made from the arguments alone, so that a study can be read without its plugin.
    """

    def check(self: Any) -> None:
        if dataclasses.is_dataclass(part.make):
            try:
                part.make(**part_arguments(part, self))
            except FieldError:
                raise
            except (ValueError, TypeError) as error:
                raise _blamed(part, str(error)) from None

    return dataclasses.make_dataclass(
        _class_name(part),
        _fields(part),
        frozen=True,
        kw_only=True,
        namespace={"__doc__": f"Network {located(part, file)}.", "__post_init__": check},
    )


def part_arguments(part: Part, spec: Any) -> dict[str, Any]:
    """Return the arguments of what was registered, from a spec of its family or data set."""
    values = {name: getattr(spec, name) for name in part.arguments}
    return {
        name: list(value) if part.arguments[name].as_list and value is not None else value
        for name, value in values.items()
    }


def _blamed(part: Part, message: str) -> FieldError:
    """Return a plugin's own error at the argument that it names first, else at the family."""
    name, _, rest = message.partition(":")
    if name.strip() in part.arguments and rest.strip():
        return FieldError(name.strip(), rest.strip())
    return FieldError("family", f"{part.name}: {message}")


def _enter_metric(part: Part, file: PluginFile) -> None:
    text = f"From the plugin {file.reference}."
    metrics.register(part.name, better=part.better, source=file.sha256, text=text)


def _leave_metric(_name: str, file: PluginFile) -> None:
    metrics.forget(file.sha256)
    for part, other in _ENTERED.values():
        if part.kind == "metric" and other.sha256 == file.sha256:
            _enter_metric(part, other)


def _metric_names() -> set[str]:
    own = {re.split(r"\W", row.name)[0] for row in metrics.rows() if row.source is None}
    return {*own, "holdout", "raw"}


def _enter_dataset(part: Part, file: PluginFile) -> None:
    fields: list[Any] = [
        ("name", Literal[part.name], dataclasses.field(default=part.name)),
    ]
    if "root" not in part.arguments or part.arguments["root"].default is not dataclasses.MISSING:
        fields.append(("root", str, dataclasses.field(default=".")))
    base = {field.name for field in dataclasses.fields(StreamableImages)}
    fields += [field for field in _fields(part) if field[0] not in base]
    DATA_SPECS[part.name] = dataclasses.make_dataclass(
        _class_name(part),
        fields,
        bases=(StreamableImages,),
        frozen=True,
        kw_only=True,
        namespace={"__doc__": f"Data set {located(part, file)}."},
    )


def _fields(part: Part) -> list[Any]:
    """Return the arguments of a part as `dataclasses.make_dataclass` takes them."""
    fields: list[Any] = []
    for name, argument in part.arguments.items():
        given = argument.default is not dataclasses.MISSING
        field = dataclasses.field(default=argument.default) if given else dataclasses.field()
        fields.append((name, argument.hint, field))
    return fields


def _class_name(part: Part) -> str:
    return "".join(word.capitalize() for word in part.name.split("_"))


def _stated(part: Part, cost: Mapping[str, int]) -> PartCost:
    """Return a stated cost as a part of a count."""
    whole = isinstance(cost, Mapping) and all(
        name in Count._fields and type(number) is int and number >= 0
        for name, number in cost.items()
    )
    if not whole:
        raise InputError(
            f"{part.kind} {part.name}: cost: expected a mapping from any of "
            f"{', '.join(Count._fields)} to integers from 0, got {cost!r}"
        )
    return counted("other", **cost)


def _built_in_names(table: Mapping[str, Any]) -> list[str]:
    return [name for name, row in table.items() if row.source is None]


_PART_KINDS: dict[Kind, _Kind] = {
    "activation": _Kind(
        reserved=lambda: _built_in_names(ACTIVATIONS),
        enter=_enter_activation,
        leave=lambda name, _: ACTIVATIONS.pop(name),
    ),
    "product": _Kind(
        reserved=lambda: _built_in_names(PRODUCTS),
        enter=_enter_product,
        leave=lambda name, _: PRODUCTS.pop(name),
    ),
    "family": _Kind(
        reserved=lambda: _built_in_names(FAMILIES),
        enter=_enter_family,
        leave=lambda name, _: FAMILIES.pop(name),
    ),
    "dataset": _Kind(
        reserved=lambda: [name for name in DATA_SPECS if ("dataset", name) not in _ENTERED],
        enter=_enter_dataset,
        leave=lambda name, _: DATA_SPECS.pop(name),
    ),
    "metric": _Kind(reserved=_metric_names, enter=_enter_metric, leave=_leave_metric),
}
