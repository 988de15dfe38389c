"""Start-up of the command line against a bare interpreter.

Run with `python tests/bench/startup.py`.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import time

from paired import arguments, compared, interleaved, write

BARE = "python -c pass"
COMMANDS = {
    BARE: [sys.executable, "-c", "pass"],
    "gmsearch --help": [sys.executable, "-m", "gmsearch", "--help"],
    "gmsearch run --help": [sys.executable, "-m", "gmsearch", "run", "--help"],
    "gmsearch schema": [sys.executable, "-m", "gmsearch", "schema"],
}


def milliseconds(command: list[str]) -> float:
    """Return the wall time of one whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Measure and write."""
    options = arguments(__doc__).parse_args()
    sides = {name: functools.partial(milliseconds, command) for name, command in COMMANDS.items()}
    times = interleaved(sides, 1 if options.quick else 15)
    rows = [
        compared(times, "start-up", name, BARE, unit="ms") for name in COMMANDS if name != BARE
    ]
    write("startup", rows, options.out)


if __name__ == "__main__":
    main()
