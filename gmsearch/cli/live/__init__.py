"""Progress of a running study: drawn on a terminal, as lines elsewhere, and logged."""

from __future__ import annotations

from gmsearch.cli.console import Console
from gmsearch.cli.live.bars import ProgressTable
from gmsearch.cli.live.view import ProgressLines
from gmsearch.space import Space

__all__ = ["ProgressLines", "ProgressTable", "view_of"]


def view_of(space: Space, console: Console) -> ProgressLines:
    """Return the view that suits a console."""
    return (ProgressTable if console.redraws else ProgressLines)(space, console)
