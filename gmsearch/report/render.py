"""Tables and notes as Markdown, LaTeX and terminal text. Escapes everything it is given."""

from __future__ import annotations

import re
from collections.abc import Sequence

import rich.table
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gmsearch.metrics import HOLDOUT
from gmsearch.report.metrics import MINUS, MISSING
from gmsearch.report.tables import Table

_MARKDOWN = re.compile(r"[\\`*|<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after \\ these two would be its arguments
    "*": "{*}",
    "±": r"$\pm$",
    MINUS: r"$-$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "‡": r"$\ddagger$",
    MISSING: "--",
}
_STYLES = ("", "bold", "underline")
_WIDE = 90
_FOOTNOTESIZE = 78
"""Characters that fit the lines of a single-column article in that size."""
_WORDS = ("why", "verdict", "front", "count", "+ on", f"{MINUS} on")
"""Headings of columns that hold words; all others but the first hold numbers."""
_LATEX_RANKS = ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")


def markdown(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Return a page of GitHub Markdown; the best of a column is bold, the second in italics."""
    parts = [f"# {_md(title)}"]
    for table in tables:
        parts += [f"## {_md(table.title)}", _markdown_table(table)]
    if notes:
        parts.append("\n".join(f"- {_md(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    heading = [_md(text) for text in table.heading]
    rule = [":--", *["--:"] * (len(heading) - 1)]
    marks = ("", "**", "*")
    rows = [[f"{marks[c.rank]}{_md(c.text)}{marks[c.rank]}" for c in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *rows))


def _md(text: str) -> str:
    return _MARKDOWN.sub(lambda found: "\\" + found[0], " ".join(text.split()))


def latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    r"""Return tables for `\input` into a document that loads booktabs; notes under the first."""
    head = [
        r"% Needs \usepackage{booktabs}. Bold: best of the column; underlined: second. Neither is",
        "% a test: the verdicts are.",
    ]
    if not tables:
        return "\n".join([*head, *(f"% {' '.join(note.split())}" for note in notes)]) + "\n"
    bodies = [_latex_table(table, notes if i == 0 else ()) for i, table in enumerate(tables)]
    return "\n".join([*head, *bodies])


def _latex_table(table: Table, notes: Sequence[str]) -> str:
    rows = [[_LATEX_RANKS[c.rank].format(_tex(c.text)) for c in row] for row in table.rows]
    narrow = _width(table) <= _FOOTNOTESIZE
    size, gap = (r"\footnotesize", "3pt") if narrow else (r"\scriptsize", "2pt")
    lines = [
        r"\begin{table}[htbp]",
        rf"\centering{size}\setlength{{\tabcolsep}}{{{gap}}}",
        rf"\caption{{{_tex(table.title)}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * (len(table.heading) - 1)}@{{}}}}",
        r"\toprule",
        " & ".join(_tex(text) for text in table.heading) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if notes:
        text = "\n".join(_tex(note) for note in notes)
        lines.append(rf"\par\smallskip\begin{{minipage}}{{\linewidth}}{text}\end{{minipage}}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _width(table: Table) -> int:
    """Return the characters of a row if every cell were as wide as its column."""
    texts = [table.heading, *([cell.text for cell in row] for row in table.rows)]
    return sum(max(map(len, column)) for column in zip(*texts, strict=True))


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def show(console: Console, title: str, tables: Sequence[Table], notes: Sequence[str]) -> None:
    """Print a section: its title, its tables one below the other, then its notes."""
    console.rule(Text(title), align="left", style="none")
    for table in tables:
        console.print(Text(table.title, style="bold"))
        console.print(_terminal_table(table, wide=console.width >= _WIDE))
        console.print()
    for note in notes:
        console.print(Padding(Text(f"· {note}"), (0, 0, 0, 1)))
    if notes:
        console.print()


def _terminal_table(table: Table, *, wide: bool) -> rich.table.Table:
    drawn = rich.table.Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, int(wide)),
        collapse_padding=True,
    )
    for i, heading in enumerate(table.heading):
        # Units go below their names, and the labels give way first where the terminal is narrow.
        drawn.add_column(
            Text(heading.replace(" (", "\n(").replace(HOLDOUT, f"{HOLDOUT}\n")),
            justify="left" if i == 0 or heading in _WORDS else "right",
            vertical="bottom",
            no_wrap=i > 0 and heading not in _WORDS[:1],
            min_width=max(
                (len(word) for row in table.rows for word in row[0].text.split()), default=1
            )
            if i == 0
            else None,
        )
    for row in table.rows:
        drawn.add_row(*(Text(cell.text, style=_STYLES[cell.rank]) for cell in row))
    return drawn
