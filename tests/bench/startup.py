"""Start-up of the command line against a bare interpreter, interleaved, medians of fifteen.

Run with `python tests/bench/startup.py`. Prints a Markdown table; asserts nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 15
BARE = [sys.executable, "-c", "pass"]
COMMANDS = {
    "python -c pass": BARE,
    "gmsearch --help": [sys.executable, "-m", "gmsearch", "--help"],
    "gmsearch run --help": [sys.executable, "-m", "gmsearch", "run", "--help"],
    "gmsearch schema": [sys.executable, "-m", "gmsearch", "schema"],
}


def seconds(command: list[str]) -> float:
    """Return the wall time of one whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Time every command in turn, so that a drift of the machine meets all alike."""
    for command in COMMANDS.values():
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    bare = times["python -c pass"]
    rows = ["| command | median ms | ratio to python -c pass (median of pairs) | n |"]
    rows.append("|---|---|---|---|")
    for name, measured in times.items():
        ratio = statistics.median(a / b for a, b in zip(measured, bare, strict=True))
        median = statistics.median(measured) * 1e3
        rows.append(f"| {name} | {median:.0f} | {ratio:.1f} | {REPEATS} |")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
