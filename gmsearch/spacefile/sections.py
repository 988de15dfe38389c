"""The forms of the sections that hold no domains: data, bands, search, resources, constraints.

Names, defaults and descriptions are those of the dataclasses; the limits are set here.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from gmsearch.limits import MAX_SEED
from gmsearch.space.settings import Search
from gmsearch.spacefile.forms import STRICT, Form, fields_of, refuse, takes_none
from gmsearch.spacefile.mistakes import Mistakes, words
from gmsearch.spacefile.nodes import Node
from gmsearch.wording import near, shown

MAX_REPEATS = 1000

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Positive = Annotated[int, Field(ge=1)]
Percent = Annotated[
    str, Field(pattern=r"^(100|[1-9]?[0-9])(\.[0-9]+)?\s*%$", description="a share such as 20%")
]
Multiple = Annotated[
    str,
    Field(
        pattern=r"^[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*x\s*baseline$",
        description="a multiple such as `1.2 x baseline`",
    ),
]
StudyName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="a name of at most 100 letters, digits, `_`, `-` and `.`, a letter or digit "
        "first",
    ),
]
Folder = Annotated[str, Field(pattern=r"^[^\x00]+$", description="the path of a folder")]
Root = Annotated[
    Folder | None,
    Field(
        description="Folder of the images; a relative one starts at the current folder. "
        "--data-root goes before GMSEARCH_DATA, which goes before this."
    ),
]
Direction = Literal["maximize", "minimize"]


SECTIONS = {
    "study": "The name of the study, and of its folder.",
    "about": "What is asked; shown in reports, without effect.",
    "plugins": "The user's own parts: Python files beside the space file, or installed packages.",
    "model": "The network: a tree whose leaves are values or domains.",
    "train": "The recipe: training hyper-parameters, values or domains.",
    "baseline": "The arm the others are compared with: a value per parameter.",
    "forbid": "Partial assignments that are left out.",
    "data": "The images.",
    "bands": "The spatial frequencies that accuracy is measured on.",
    "objectives": "What is maximised or minimised.",
    "constraints": "Bounds of metrics, both ends included.",
    "search": "Which candidates are trained, and how often each.",
    "tune": "Training parameters chosen on the holdout: lists of the values to try.",
    "match": "A cost that every candidate shares with the baseline, and what is scaled for it.",
    "resources": "What one trial holds while it runs.",
}
"""The keys of a space file, and what each is for."""
REQUIRED = ("study", "model", "data", "objectives", "search")


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """What a study is called, and what it asks."""

    study: StudyName
    about: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """What a metric may be, both ends included."""

    min: float | Multiple | None = None
    """A number, or a multiple of the baseline's value."""

    max: float | Multiple | None = None
    """A number, or a multiple of the baseline's value."""


_NARROWED: dict[type[object], dict[str, Any]] = {
    Search: {
        "seeds": Annotated[int, Field(ge=1, le=MAX_REPEATS)]
        | Annotated[tuple[Seed, ...], Field(min_length=1)],
        "max_failed": Annotated[int, Field(ge=0)] | Percent | None,
    },
}
"""The types of fields as a file may write them, where the dataclass alone says less."""


@functools.cache
def _form(cls: Form) -> type[pydantic.BaseModel]:
    hints = {**typing.get_type_hints(cls, include_extras=True), **_NARROWED.get(cls, {})}
    if "root" in hints:  # --data-root and GMSEARCH_DATA may give it
        hints["root"] = Root
    definitions: dict[str, Any] = {}
    for name, field in fields_of(cls).items():
        needed = field.required and not takes_none(hints[name])
        definitions[name] = (hints[name], ... if needed else field.default)
    return pydantic.create_model(cls.__name__, __config__=STRICT, **definitions)


@functools.cache
def schema_of(cls: Form) -> dict[str, Any]:
    """Return the JSON Schema of a section; none of them needs references."""
    return _form(cls).model_json_schema()


def validated(cls: Form, node: Node, path: str, mistakes: Mistakes) -> dict[str, Any] | None:
    """Return the values of a section, defaults included; None where something does not fit.

    `cls` is the dataclass whose fields they are.
    """
    plain = node.plain()
    if not isinstance(plain, dict):
        mistakes.add(node.place, f"{path}: {shown(plain)} is not a mapping of `key: value`")
        return None
    form = _form(cls)
    for name, field in form.model_fields.items():
        if plain.get(name) == "none" and takes_none(field.annotation):
            plain[name] = None
    try:
        model = form.model_validate(plain)
    except pydantic.ValidationError as error:
        _tell(error, cls, node, path, mistakes)
        return None
    return {name: getattr(model, name) for name in form.model_fields}


def _tell(
    error: pydantic.ValidationError,
    cls: Form,
    node: Node,
    path: str,
    mistakes: Mistakes,
) -> None:
    prefix = f"{path}: " if path else ""
    wrong: dict[str, set[tuple[int, ...]]] = {}
    for found in error.errors(include_url=False, include_input=False, include_context=False):
        name, *inner = found["loc"]
        if found["type"] == "missing" and not inner:
            wanted = words(schema_of(cls)["properties"][name])
            mistakes.add(node.key, f"{prefix}{name} is missing; add `{name}: …`, {wanted}")
        elif found["type"] == "extra_forbidden":
            remedy = near(name, fields_of(cls))
            mistakes.add(node.keys[str(name)], f"{prefix}unknown key {name!r}; {remedy}")
        else:
            # A union names its branches in between the indices.
            indices = tuple(part for part in inner if isinstance(part, int))
            if found["type"] == "missing":  # a list that is too short
                indices = indices[:-1]
            wrong.setdefault(str(name), set()).add(indices)
    for name, places in wrong.items():
        schema = schema_of(cls)["properties"][name]
        deepest = max(map(len, places))
        for indices in sorted(i for i in places if len(i) == deepest):
            refuse(node.mapping[name], indices, schema, f"{path}.{name}".lstrip("."), mistakes)
