"""Output that cannot be written, for every command that prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
PRINTING = [
    ["--version"],
    ["--help"],
    ["schema"],
    ["check", "tiny.yaml"],
    ["list"],
    ["show", "tiny"],
    ["report", "--ablation"],
]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_output_to_a_full_disk(finished: Path) -> None:
    """One line that says so, and exit code 2; also for a file that the user named."""
    started = []
    for arguments in PRINTING:
        with FULL.open("w") as full:
            started.append((arguments, _start(arguments, full.fileno())))
    arguments = ["profile", "tiny.yaml", "--no-timing", "--csv", str(FULL)]
    started.append((arguments, _start(arguments, subprocess.DEVNULL)))
    for arguments, process in started:
        _, said = process.communicate(timeout=120)
        lines = [line for line in said.splitlines() if "static cost" not in line]
        assert process.returncode == 2, (arguments, said)
        assert len(lines) == 1, (arguments, said)
        assert "cannot be written: No space left on device; make room" in lines[0], arguments


def test_neither_a_closed_output_nor_a_closed_pipe_shows_a_traceback(tmp_path: Path) -> None:
    """`gmsearch schema | true` ends with 1 at once, `gmsearch schema >&-` as if it had printed."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        piped = _start(["schema"], writing)
    finally:
        os.close(writing)
    closed = subprocess.Popen(
        ["sh", "-c", 'exec "$0" -m gmsearch schema >&-', sys.executable],  # noqa: S607 - the system's
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (piped.communicate(timeout=120)[1], piped.returncode) == ("", 1)
    assert (closed.communicate(timeout=120)[1], closed.returncode) == ("", 0)


def _start(arguments: list[str], stdout: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gmsearch", *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
