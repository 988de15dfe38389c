"""`gmsearch schema`: the JSON Schema of space files."""

from __future__ import annotations

import typer


def schema() -> None:
    """Print the JSON Schema of space files.

    Editors use it to complete and check them.
    """
    import json

    from gmsearch.spacefile import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
