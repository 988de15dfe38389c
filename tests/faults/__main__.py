"""Inject every fault into small studies and print what became of them.

    python tests/faults                      all of them, once
    python tests/faults --times 3 raylet     those whose name has the word, three times each

Faults of the disk need the right to mount file systems.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from faults import FAULTS
from study import SPACE, TRIALS, TooLateError, command, lines, repeated, results

_UNCOUNTED = ("object array", "escape sequences", "killed while timing")
"""Faults whose study is another one than the undisturbed."""


def main() -> None:
    """Print a row per fault and time."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("words", nargs="*", help="words of the names of faults; all by default")
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    names = [n for n in FAULTS if not given.words or any(word in n for word in given.words)]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(_fresh(Path(folder, "undisturbed")))
        assert command("run", "faulty.yaml", "--engine", "serial").code == 0
        expected = results()
        assert len(expected) == TRIALS
        _say("fault | ended s | exit | tracebacks | lost | repeated | verdict")
        bad = 0
        for name in names:
            for time_ in range(given.times):
                place = _fresh(Path(folder, f"{names.index(name)}-{time_}"))
                os.chdir(place)
                row, good = _row(name, expected)
                bad += not good
                _say(f"{name} | {row}")
                os.chdir(folder)
                shutil.rmtree(place, ignore_errors=True)
    sys.exit(bad > 0)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    (folder / "faulty.yaml").write_text(SPACE, encoding="utf-8")
    return folder


def _row(name: str, expected: list[dict[str, object]]) -> tuple[str, bool]:
    inject, codes = FAULTS[name]
    begin = time.monotonic()
    try:
        ended = list(inject())
    except (TooLateError, AssertionError, subprocess.CalledProcessError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        return f"{time.monotonic() - begin:.1f} | - | - | - | - | FAULT: {text}", False
    under = ended[:-1] or ended
    tracebacks = sum("Traceback" in one.output for one in ended)
    lost = again = 0
    if not any(word in name for word in _UNCOUNTED):
        lost = sum(one not in results() for one in expected)
        again = repeated()
    else:
        lost = TRIALS - len({t["key"] for t in lines("trial") if t["state"] == "COMPLETE"})
    codes_seen = sorted({one.code for one in under})
    good = set(codes_seen) <= set(codes) and ended[-1].code in (0, *codes)
    good = good and not (tracebacks or lost or again)
    seconds = max(one.seconds for one in under)
    codes_text = ", ".join(map(str, codes_seen))
    verdict = "as it should" if good else f"FAULT: {ended[0].output.strip()[-300:]!r}"
    return f"{seconds:.1f} | {codes_text} | {tracebacks} | {lost} | {again} | {verdict}", good


if __name__ == "__main__":
    main()
