"""Tables and notes as LaTeX that needs no package but booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from gmsearch.display import BETTER, DISTURBED, MINUS, MISSING, WORSE
from gmsearch.printable import visible
from gmsearch.report.tables import TextTable

_ESCAPES = {
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
    DISTURBED: r"$\dagger$",
    BETTER: r"$^{\bigtriangleup}$",
    WORSE: r"$^{\bigtriangledown}$",
    MISSING: "--",
}
_FOOTNOTESIZE = 78
"""Characters that fit the lines of a single-column article in that size."""
_RANKS = ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")


def latex(tables: Sequence[TextTable], notes: Sequence[str]) -> str:
    r"""Return tables for `\input` into a document that loads booktabs; notes under the first."""
    head = [
        r"% Requires \usepackage{booktabs}. Bold: best of the column; underlined: second best.",
        "% These marks are not significance tests; the verdicts are.",
    ]
    if not tables:
        return "\n".join([*head, *(f"% {visible(_one_line(note))}" for note in notes)]) + "\n"
    bodies = [_latex_table(table, notes if i == 0 else ()) for i, table in enumerate(tables)]
    return "\n".join([*head, *bodies])


def _latex_table(table: TextTable, notes: Sequence[str]) -> str:
    rows = [[_RANKS[c.rank].format(_tex(c.text)) for c in row] for row in table.rows]
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


def _width(table: TextTable) -> int:
    """Return the characters of a row if every cell were as wide as its column."""
    texts = [table.heading, *([cell.text for cell in row] for row in table.rows)]
    return sum(max(map(len, column)) for column in zip(*texts, strict=True))


def _tex(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in visible(_one_line(text)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
