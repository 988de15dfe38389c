"""A watchdog over the processes of a private Ray session.

A worker that hangs is ended, so that its plan can run again; a session whose own processes have
died is ended as a whole, since Ray would wait for them for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

_CHECKS = 60
"""Number of looks at a worker before it is taken for hung; at most one a second."""
_NOTHING = 0.005
_PATIENCE_SECONDS = 15
_SERVERS = ("raylet", "gcs_server")


@contextlib.contextmanager
def at_work(folder: str, key: str) -> Iterator[None]:
    """Leave a sign in `folder` while this process, a worker, works on the plan `key`."""
    sign = Path(folder) / str(os.getpid())
    # A folder of the driver's machine; on others of a cluster nobody looks for it.
    with contextlib.suppress(OSError):
        sign.write_text(key, encoding="utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            sign.unlink()


class Watch:
    """Looks after the workers of a session from a thread of the driver's process."""

    def __init__(self, folder: str, *, hang_seconds: float) -> None:
        """Watch the workers that leave signs in `folder`, and the servers of this process's Ray.

        Args:
            folder: where workers leave signs; see `at_work`.
            hang_seconds: how long a worker may use no CPU time.
        """
        self.failure: str | None = None
        """Why the session was ended, if it was."""
        self._folder = Path(folder)
        self._hang_seconds = hang_seconds
        self._hung: set[str] = set()
        self._idle: dict[tuple[int, str], tuple[float, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gmsearch-watch", daemon=True)
        self._servers: list[tuple[str, psutil.Process]] = []

    def __enter__(self) -> Self:
        """Start to look; the session must have been started."""
        children = psutil.Process().children(recursive=True)
        named = [(_name(child), child) for child in children]
        self._servers = [(name, child) for name, child in named if name in _SERVERS]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def session_failed(self, *, within: float = 0.0) -> bool:
        """Return whether a process of Ray's own has died, or does so within some seconds.

        Its workers die with it, perhaps a moment before.
        """
        end = time.monotonic() + within
        while True:
            dead = next((name for name, one in self._servers if not _alive(one)), None)
            if dead is not None:
                self.failure = (
                    f"{dead} of Ray ended unexpectedly; finished trials are saved: run the study "
                    "again"
                )
            if dead is not None or time.monotonic() >= end:
                return dead is not None
            time.sleep(0.05)

    def hung(self, key: str) -> bool:
        """Return whether the worker of a plan was ended because it hung, and forget it."""
        found = key in self._hung
        self._hung.discard(key)
        return found

    def _run(self) -> None:
        pause = min(1.0, self._hang_seconds / _CHECKS)
        last = time.monotonic()
        while not self._stop.wait(pause):
            now = time.monotonic()
            # What stopped this process, too, is not held against the workers.
            elapsed, last = min(now - last, 2 * pause), now
            if self.session_failed():
                self._end_session()
                return
            self._look(elapsed)

    def _end_session(self) -> None:
        """Interrupt the main thread; end the process if it waits in Ray's own code for ever."""
        assert self.failure is not None, "the reason is printed"
        os.kill(os.getpid(), signal.SIGINT)
        if self._stop.wait(_PATIENCE_SECONDS):
            return
        shown_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{shown_cursor}{self.failure}\n")
        sys.stderr.flush()
        end_children(set())
        os._exit(1)  # nothing is lost: every record was written when it was made

    def _look(self, elapsed: float) -> None:
        """Count the idle seconds of every worker at work; end one that hangs."""
        known, self._idle = self._idle, {}
        for sign in self._folder.iterdir():
            with contextlib.suppress(OSError, ValueError, psutil.Error):
                key, worker = sign.read_text(encoding="utf-8"), psutil.Process(int(sign.name))
                used = _work(worker)
                before, idle = known.get((worker.pid, key), (-1.0, 0.0))
                idle = idle + elapsed if used - before < _NOTHING else 0.0
                self._idle[worker.pid, key] = used, idle
                if idle >= self._hang_seconds:
                    self._hung.add(key)
                    worker.kill()
                    sign.unlink()


def end_children(before: set[int]) -> None:
    """End the children of this process that are not among `before`, by their process ids."""
    left = [
        child for child in psutil.Process().children(recursive=True) if child.pid not in before
    ]
    for child in left:
        with contextlib.suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(left, timeout=5)


def _work(worker: psutil.Process) -> float:
    """Return the CPU seconds of a worker's main thread and of the processes it has started.

    Ray's own threads in the worker are busy whether it works or hangs.
    """
    main = next(t for t in worker.threads() if t.id == worker.pid)
    seconds = main.user_time + main.system_time
    for child in worker.children(recursive=True):
        times = child.cpu_times()
        seconds += times.user + times.system
    return float(seconds)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
