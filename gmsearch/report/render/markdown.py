"""Tables and notes as GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gmsearch.printable import visible
from gmsearch.report.tables import TextTable

_SPECIAL = re.compile(r"[\\`*|<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def markdown(title: str, tables: Sequence[TextTable], notes: Sequence[str]) -> str:
    """Return a page of GitHub Markdown; the best of a column is bold, the second in italics."""
    parts = [f"# {_md(title)}"]
    for table in tables:
        parts += [f"## {_md(table.title)}", _markdown_table(table)]
    if notes:
        parts.append("\n".join(f"- {_md(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: TextTable) -> str:
    heading = [_md(text) for text in table.heading]
    rule = [":--", *["--:"] * (len(heading) - 1)]
    marks = ("", "**", "*")
    rows = [[f"{marks[c.rank]}{_md(c.text)}{marks[c.rank]}" for c in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *rows))


def _md(text: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], visible(" ".join(text.split())))
