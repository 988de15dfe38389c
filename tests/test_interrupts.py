"""An interrupt ends a command with exit code 130 at any moment, and says how to go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STARTED = (
    "import sys\n"
    "from gmsearch.cli import main\n"
    "from gmsearch.cli.interrupts import interruptible\n"
    "sys.argv = ['gmsearch', 'run', 'tiny.yaml', '--engine', 'serial']\n"
    "with interruptible():\n"  # before main is, an interrupt is Python's
    "    print('started', flush=True)\n"
    "    main()\n"
)
_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("delay", "number", "times"),
    [
        (0.0, signal.SIGINT, 1),
        (0.1, signal.SIGTERM, 1),
        (0.3, signal.SIGINT, 5),
        (0.8, signal.SIGHUP, 1),
        (1.6, signal.SIGTERM, 5),
        (3.0, signal.SIGINT, 5),
    ],
)
def test_an_interrupt_at_any_moment(
    tiny_space: Path, delay: float, number: signal.Signals, times: int
) -> None:
    """While packages are imported, data read, networks trained; once, or by a nervous hand."""
    text = tiny_space.read_text(encoding="utf-8")
    tiny_space.write_text(text.replace("seeds: [0, 1]", "seeds: 500"), encoding="utf-8")
    before = {one: signal.signal(one, signal.SIG_DFL) for one in _HEARD}
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", STARTED],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(delay)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    end = ["Interrupted. What finished is saved. Resume with:"]
    assert errors.splitlines()[-2:] == [*end, "  gmsearch run tiny.yaml --engine serial"]


def test_an_interrupt_while_a_text_is_executed(tmp_path: Path) -> None:
    """As dataclasses do; run as a module, Python would end by the signal, whatever the code."""
    code = (
        "import os, signal\n"
        "from gmsearch.cli.interrupts import interruptible\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # not nohup's
        "with interruptible():\n"
        "    exec('os.kill(os.getpid(), signal.SIGINT)\\nwhile True: pass')\n"
    )
    (tmp_path / "interrupted.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_an_interrupt_that_python_turns_into_an_error() -> None:
    """While a class is made, some Pythons make it a RuntimeError; the exit code is the same."""
    code = (
        "import os, signal\n"
        "from gmsearch.cli.interrupts import interruptible\n"
        "class Field:\n"
        "    def __set_name__(self, owner, name):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "with interruptible():\n"
        "    class Spec:\n"
        "        field = Field()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr == "Interrupted.\n"
