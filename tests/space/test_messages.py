"""Every message of the reader: one mistake in a file gives one line, exact to the letter.

The files and their messages are in `messages/`, one file per section; `--rewrite-messages` writes
the messages that the reader gives now.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ruamel.yaml

FILES = sorted((Path(__file__).parent / "messages").glob("*.yaml"))


def yaml() -> ruamel.yaml.YAML:
    """Return a reader and writer that keeps comments, quotes and long lines."""
    yaml = ruamel.yaml.YAML()
    yaml.width = 100_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    return yaml


CASES = {
    f"{path.stem}: {name}": (path, name, case)
    for path in FILES
    for name, case in yaml().load(path).items()
}


@pytest.mark.parametrize("case_id", CASES)
def test_one_mistake_is_reported_once_at_its_position(
    case_id: str,
    mistakes_in: Callable[..., list[str]],
    marked: Callable[..., list[str]],
    pytestconfig: pytest.Config,
) -> None:
    """A file with one mistake gives one line: its position, what was expected, what to do."""
    path, name, case = CASES[case_id]
    edits = [(edit.get("old", ""), edit["new"]) for edit in case.get("edits", ())]
    file = {"text": case["text"]} if "text" in case else {}
    (position,) = marked(*edits, **file)

    lines = mistakes_in(*edits, **file)
    if case.get("others"):
        lines = [line for line in lines if line.startswith(f"{position}: ")][:1]
    if pytestconfig.getoption("rewrite_messages"):
        rewrite(path, name, position, lines)
        return

    assert lines == [f"{position}: {case['message']}"]


def rewrite(path: Path, name: str, position: str, lines: list[str]) -> None:
    """Write the message that a file gives now; its position must be the one marked."""
    (line,) = lines
    prefix = f"{position}: "
    assert line.startswith(prefix), line
    cases: dict[str, Any] = yaml().load(path)
    quoted = ruamel.yaml.scalarstring.DoubleQuotedScalarString
    cases[name]["message"] = quoted(line.removeprefix(prefix))
    yaml().dump(cases, path)
