"""Markdown, LaTeX and terminal: whatever stands in a cell, it stays in its cell."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gmsearch.report.render.latex import latex
from gmsearch.report.render.markdown import markdown
from gmsearch.report.render.terminal import print_section
from gmsearch.report.tables import Cell, TextTable

NASTY = r"50% & $x_1^2$ #{a}~\b <c> |d| [e] *f* _g_ `h` “ü” ± − ↑"  # noqa: RUF001
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def _table(*texts: str, rank: int = 0) -> TextTable:
    return TextTable(title=texts[0], heading=texts, rows=(tuple(Cell(t, rank) for t in texts),))


def _unescaped(text: str, character: str) -> int:
    return len(re.findall(rf"(?<!\\)(?:\\\\)*{re.escape(character)}", text))


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_latex_rows_keep_their_cells_whatever_they_hold(texts: list[str]) -> None:
    """Braces balance, every row has as many cells as the heading, nothing becomes a command."""
    source = latex([_table(*texts, rank=1)], texts)
    rows = [line for line in source.splitlines() if line.endswith(r" \\")]

    assert len(rows) == 2
    assert all(_unescaped(row, "&") == len(texts) - 1 for row in rows)
    assert _unescaped(source, "{") == _unescaped(source, "}")
    assert not any(row.startswith(("[", "*")) for row in rows)
    commented = source.split(r"\begin{table}", 1)[1]
    assert _unescaped(commented, "%") == _unescaped(commented, "#") == 0
    assert _unescaped(commented, "$") % 2 == 0


def test_latex_uses_booktabs_and_marks_best_and_second() -> None:
    """The three rules, bold for the best, underlined for the second, notes under the first."""
    tables = [_table("a", "b", rank=1), _table("c", rank=2)]

    source = latex(tables, ["how it was measured"])
    first, second = source.split(r"\end{table}")[:2]

    for part in (first, second):
        assert [part.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1] * 3
    assert r"\textbf{a} & \textbf{b} \\" in first
    assert r"\underline{c} \\" in second
    assert "how it was measured" in first
    assert "how it was measured" not in second


def test_latex_without_tables_is_a_comment() -> None:
    """A study with nothing to tell gives a file that LaTeX reads and that says so."""
    source = latex([], ["No trial\nhas completed."])

    assert all(line.startswith("%") for line in source.splitlines())
    assert "No trial has completed." in source


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    """A document that loads booktabs takes the tables as they are."""
    (tmp_path / "part.tex").write_text(latex([_table(NASTY, NASTY)], [NASTY]), encoding="utf-8")
    (tmp_path / "all.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{part}\end{document}",
        encoding="utf-8",
    )

    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_markdown_rows_keep_their_cells_whatever_they_hold(texts: list[str]) -> None:
    """Every row has as many bars as the heading, and no tag gets through."""
    page = markdown(texts[0], [_table(*texts)], texts)
    rows = [line for line in page.splitlines() if line.startswith("| ")]

    assert len(rows) == 3
    assert {_unescaped(row, "|") for row in rows} == {len(texts) + 1}
    assert _unescaped(page, "<") == 0


def test_markdown_leaves_names_readable() -> None:
    """Underscores inside words and the equals signs of labels need no escape."""
    page = markdown("t", [_table("mlp_ratio=2 gate.product=self")], ["_a_ *b*"])

    assert "mlp_ratio=2 gate.product=self" in page
    assert r"- \_a\_ \*b\*" in page


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_takes_markup_as_text(width: int) -> None:
    """What looks like rich markup or an emoji name is printed as it is, and lines fit."""
    text = io.StringIO()
    console = Console(file=text, width=width)

    print_section(
        console, "part", [_table("[red]x[/red]", ":warning:")], ["[bold]note[/bold] :smile: " * 9]
    )

    shown = text.getvalue()
    assert "[red]x[/red]" in shown
    assert ":warning:" in shown
    assert "[bold]note[/bold] :smile:" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= width


def test_labels_wrap_before_numbers_are_cut() -> None:
    """On a narrow terminal a long label takes two lines, the numbers beside it stay whole."""
    number = "70.57 ± 0.59 [69.98, 71.16]"
    table = _table("product=none activation=identity", number, number)
    text = io.StringIO()

    print_section(Console(file=text, width=80), "part", [table], [])

    assert text.getvalue().count(number) == 4
    assert "activation=identity" in text.getvalue()
