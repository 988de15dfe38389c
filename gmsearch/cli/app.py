"""The program `gmsearch`: its commands, and how errors become messages and exit codes.

A command is a file of this folder and a row of COMMANDS. Its module is imported for every
`--help`, so heavy packages are imported inside functions.

Flags say where and how much; everything that can change a result is in the space file.

Exit codes: 0 done; 1 ran, but something failed: a trial, the disk of a study, or a pipe that its
reader closed (`gmsearch schema | head`; click and rich use this code too); 2 bad input, or a file
to print to that cannot be written; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from gmsearch import __version__
from gmsearch.cli.check import check
from gmsearch.cli.list import list_studies
from gmsearch.cli.measure import measure
from gmsearch.cli.profile import profile
from gmsearch.cli.report import report
from gmsearch.cli.run import run
from gmsearch.cli.schema import schema
from gmsearch.cli.show import show
from gmsearch.cli.streams import say
from gmsearch.errors import GmsearchError, InputError, StorageError

COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "report": report,
    "check": check,
    "profile": profile,
    "measure": measure,
    "list": list_studies,
    "show": show,
    "schema": schema,
}
"""The commands by name, in the order of the help."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    name="gmsearch",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes around the help would cost three quarters of its time
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag's value
    if wanted:
        typer.echo(f"gmsearch {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Search and ablate gated image classifiers: accuracy by frequency band, against cost."""
    from gmsearch.cli.logged import show_warnings

    del version  # the option's callback has dealt with it
    show_warnings()


def main() -> None:
    """Run the command line; turn expected errors into messages and exit codes."""
    try:
        _print_all()
    except GmsearchError as error:
        for line in error.lines:
            say(line)
        mistaken = isinstance(error, InputError) and not isinstance(error, StorageError)
        sys.exit(2 if mistaken else 1)
    except OSError as error:
        if error.errno not in (*_FULL, errno.EPIPE):
            raise
        _discard_output()
        if error.errno == errno.EPIPE:
            sys.exit(1)
        place = error.filename or "the output"
        with contextlib.suppress(OSError):  # which may go to the same disk
            say(f"{place}: cannot be written: {error.strerror}; make room, or write elsewhere")
        sys.exit(2)


def _print_all() -> None:
    """Run the command; raise OSError where not all that it printed could be written."""
    try:
        app(prog_name="gmsearch")
    except SystemExit:
        if sys.stdout:  # Python has none where it was closed
            sys.stdout.flush()
        raise


def _discard_output() -> None:
    """Send what is still buffered nowhere, since Python tries again to write it when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
