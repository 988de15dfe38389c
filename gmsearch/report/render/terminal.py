"""Tables and notes in the terminal; whatever looks like markup is printed as it is."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gmsearch.metrics import HOLDOUT
from gmsearch.printable import visible
from gmsearch.report.tables import TextTable

_STYLES = ("", "bold", "underline")
_WIDE = 90


def print_section(
    console: Console, title: str, tables: Sequence[TextTable], notes: Sequence[str]
) -> None:
    """Print a section: its title, its tables one below the other, then its notes."""
    console.rule(Text(title), align="left", style="none")
    for table in tables:
        console.print(Text(visible(table.title), style="bold"))
        console.print(_terminal_table(table, wide=console.width >= _WIDE))
        console.print()
    for note in notes:
        console.print(Padding(Text(f"· {visible(note)}"), (0, 0, 0, 1)))
    if notes:
        console.print()


def _terminal_table(table: TextTable, *, wide: bool) -> Table:
    drawn = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, int(wide)),
        collapse_padding=True,
    )
    for i, heading in enumerate(table.heading):
        # Units go below their names; on a narrow terminal the labels wrap first.
        drawn.add_column(
            Text(visible(heading).replace(" (", "\n(").replace(HOLDOUT, f"{HOLDOUT}\n")),
            justify="left" if i == 0 or heading in table.words else "right",
            vertical="bottom",
            no_wrap=i > 0 and heading != table.prose,
            min_width=max(
                (len(word) for row in table.rows for word in row[0].text.split()), default=1
            )
            if i == 0
            else None,
        )
    for row in table.rows:
        drawn.add_row(*(Text(visible(cell.text), style=_STYLES[cell.rank]) for cell in row))
    return drawn
