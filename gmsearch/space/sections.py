"""The forms of the sections that hold no domains: data, bands, search, resources, constraints.

Names, defaults and descriptions are those of the dataclasses; the limits are set here.
"""

from __future__ import annotations

import functools
import typing
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from gmsearch.candidate import Bands, Spectral, Stored
from gmsearch.space.forms import STRICT, fields_of, refuse, takes_none
from gmsearch.space.mistakes import Mistakes, near, shown, words
from gmsearch.space.nodes import Node
from gmsearch.space.settings import Resources, Search

MAX_SEED = 2**32 - 1
"""The largest seed that every generator in use takes."""
MAX_REPEATS = 1000

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Radius = Annotated[float, Field(gt=0)]
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
Direction = Literal["maximize", "minimize"]


def _form(cls: type[Any], **limited: Any) -> type[pydantic.BaseModel]:
    """Return the form of a dataclass, some of its types as a file may say them."""
    hints = {**typing.get_type_hints(cls), **limited}
    definitions: dict[str, Any] = {}
    for name, field in fields_of(cls).items():
        needed = field.required and not takes_none(hints[name])
        definitions[name] = (hints[name], ... if needed else field.default)
    return pydantic.create_model(cls.__name__, __config__=STRICT, **definitions)


BANDS = _form(
    Bands,
    radii=tuple[Radius, ...],
    ranges=tuple[tuple[Annotated[float, Field(ge=0)], Radius], ...],
    every=Annotated[int, Field(ge=0)],
)
_SPECTRAL = _form(
    Spectral,
    resolution=Annotated[int, Field(ge=8)],
    classes=Annotated[int, Field(ge=2)],
    train_images=Positive,
    evaluation_images=Positive,
    high_share=Annotated[float, Field(ge=0, le=1)],
    seed=Seed,
    holdout=Share,
)
Folder = Annotated[str, Field(pattern=r"^[^\x00]+$", description="the path of a folder")]
_Root = Annotated[
    Folder | None,
    Field(
        description="Folder of the images; a relative one starts at the current folder. "
        "--data-root goes before GMSEARCH_DATA, which goes before this."
    ),
]
_STORED = _form(Stored, root=_Root, resolution=Positive | None, holdout=Share)
DATA: dict[str, type[pydantic.BaseModel]] = {
    "spectral": _SPECTRAL,
    **dict.fromkeys(typing.get_args(typing.get_type_hints(Stored)["name"]), _STORED),
}
"""The form of `data` by its `name`."""
SEARCH = _form(
    Search,
    seeds=Annotated[int, Field(ge=1, le=MAX_REPEATS)]
    | Annotated[tuple[Seed, ...], Field(min_length=1)],
    candidates=Positive | None,
    seed=Seed,
    population=Annotated[int, Field(ge=2)] | None,
    max_failed=Annotated[int, Field(ge=0)] | Percent | None,
)
RESOURCES = _form(Resources, cpus=Positive, gpus=Annotated[float, Field(ge=0)])


SECTIONS = {
    "study": "The name of the study, and of its folder.",
    "about": "What is asked; shown in reports, without effect.",
    "model": "The network: a tree whose leaves are values or domains.",
    "train": "The recipe: training hyper-parameters, values or domains.",
    "baseline": "The arm the others are compared with: a value per parameter.",
    "forbid": "Partial assignments that are left out.",
    "data": "The images.",
    "bands": "The spatial frequencies that accuracy is measured on.",
    "objectives": "What is maximised or minimised.",
    "constraints": "Bounds of metrics, both ends included.",
    "search": "Which candidates are trained, and how often each.",
    "resources": "What one trial holds while it runs.",
}
"""The keys of a space file, and what each is for."""
REQUIRED = ("study", "model", "data", "objectives", "search")


class Bounds(pydantic.BaseModel):
    """What a metric may be, both ends included; a number or a multiple of the baseline's value."""

    model_config = STRICT

    min: float | Multiple | None = None
    max: float | Multiple | None = None


class Name(pydantic.BaseModel):
    """What a study is called."""

    model_config = STRICT

    study: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
            description="a name of at most 100 letters, digits, `_`, `-` and `.`, a letter or "
            "digit first",
        ),
    ]
    about: str = ""


@functools.cache
def schema_of(form: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a form; none of them needs references."""
    return form.model_json_schema()


def validated(
    form: type[pydantic.BaseModel], node: Node, path: str, mistakes: Mistakes
) -> dict[str, Any] | None:
    """Return a section's values, defaults included; None where something does not fit."""
    plain = node.plain()
    if not isinstance(plain, dict):
        mistakes.add(node.place, f"{path}: {shown(plain)} is not a mapping of `key: value`")
        return None
    for name, field in form.model_fields.items():
        if plain.get(name) == "none" and takes_none(field.annotation):
            plain[name] = None
    try:
        model = form.model_validate(plain)
    except pydantic.ValidationError as error:
        _tell(error, form, node, path, mistakes)
        return None
    return {name: getattr(model, name) for name in form.model_fields}


def _tell(
    error: pydantic.ValidationError,
    form: type[pydantic.BaseModel],
    node: Node,
    path: str,
    mistakes: Mistakes,
) -> None:
    prefix = f"{path}: " if path else ""
    wrong: dict[str, set[tuple[int, ...]]] = {}
    for found in error.errors(include_url=False, include_input=False, include_context=False):
        name, *inner = found["loc"]
        if found["type"] == "missing":
            wanted = words(schema_of(form)["properties"][name])
            mistakes.add(node.key, f"{prefix}{name} is missing; add `{name}: …`, {wanted}")
        elif found["type"] == "extra_forbidden":
            remedy = near(name, form.model_fields)
            mistakes.add(node.keys[str(name)], f"{prefix}unknown key {name!r}; {remedy}")
        else:
            # A union names its branches in between the indices.
            indices = tuple(part for part in inner if isinstance(part, int))
            wrong.setdefault(str(name), set()).add(indices)
    for name, places in wrong.items():
        schema = schema_of(form)["properties"][name]
        deepest = max(map(len, places))
        for indices in sorted(i for i in places if len(i) == deepest):
            refuse(node.mapping[name], indices, schema, f"{path}.{name}".lstrip("."), mistakes)
