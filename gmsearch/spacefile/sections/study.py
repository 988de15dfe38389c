"""The keys `study` and `about`: the name of a study, and its question."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from gmsearch.limits import Text
from gmsearch.spacefile.values import build_from, read_values
from gmsearch.spacefile.yaml import Node


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """Name and question of a study."""

    study: Annotated[
        str,
        Text(
            pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
            words="a name of at most 100 letters, digits, `_`, `-` and `.` that starts with a "
            "letter or digit",
        ),
    ]
    about: str = ""


def read_name(root: Node) -> Name | None:
    """Return name and question; None where one is wrong."""
    others = [key for key in root.mapping if key not in ("study", "about")]
    values = read_values(root.without(*others), Name)
    name: Name | None = None if values is None else build_from(root, Name, values)
    return name
