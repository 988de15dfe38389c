"""The Ray session of a run: a private one, or one that is joined by its address."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import math
import os
import resource
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import ray
from ray._private.ray_logging import global_worker_stdstream_dispatcher
from ray.job_config import JobConfig

from gmsearch.engines.ray.watch import end_children
from gmsearch.errors import InputError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SET_CHILD_SUBREAPER = 36
_SHUTDOWN_SECONDS = 15
_TOKEN = secrets.token_hex(32)  # one a process: Ray reads it once


@contextlib.contextmanager
def private(cpus: int, gpus: float) -> Iterator[None]:
    """Start a private Ray session on the loopback address, and end it even after an error.

    Connections need a token that only this process and its children know. An address or another
    Ray in the environment is ignored.

    Raises:
        InputError: Ray cannot start here; names the reason and a remedy.
    """
    _require_memory()
    _adopt_orphans()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    try:
        with _environment("RAY_AUTH_TOKEN", _TOKEN), _kept_signal_handlers():
            ray.init(
                address="local",
                num_cpus=cpus,
                num_gpus=math.ceil(gpus) or None,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                job_config=_job_config(),
            )
    except (OSError, RuntimeError, ValueError) as error:
        _end(before)
        raise InputError(_why_not(error)) from error
    # Ray's own remarks on a node that died would stand among our lines; we say it in one.
    global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")
    try:
        yield
    finally:
        _end(before)


def _adopt_orphans() -> None:
    """Let workers whose raylet has died become children of this process, which ends them."""
    with contextlib.suppress(OSError, AttributeError):  # of Linux only
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end(before: set[int]) -> None:
    """End the session, and what is left of it after a while, though interrupted again."""
    with _kept_signal_handlers():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        ending = threading.Thread(target=ray.shutdown, daemon=True)
        ending.start()
        ending.join(_SHUTDOWN_SECONDS)
        end_children(before)


class _DriverPath(list[str]):
    """Import path of workers: the driver's, to which Ray adds the current folder in vain."""

    def extend(self, _: object) -> None:
        """Add nothing: a timm or a script in the current folder is not what the driver imports."""


def _job_config() -> JobConfig:
    # Workers put each entry first, one after another.
    path = _DriverPath(str(Path(place).resolve()) for place in reversed(sys.path))
    return JobConfig(_py_driver_sys_path=path)


def _require_memory() -> None:
    """Raise InputError where a limit on address space would let Ray's processes crash."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit not in (resource.RLIM_INFINITY, -1):
        raise InputError(
            f"Ray cannot start: the address space of a process is limited to {limit // 2**20} MiB "
            "(ulimit -v, h_vmem); lift the limit, or use --engine serial"
        )


def _why_not(error: Exception) -> str:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    remedy = "use --engine serial"
    if "AF_UNIX" in reason or "too long" in reason:
        remedy = "set RAY_TMPDIR=/tmp, or " + remedy
    return f"Ray cannot start: {reason.rstrip('.')}; {remedy}"


@contextlib.contextmanager
def joined(address: str) -> Iterator[None]:
    """Connect to a running Ray cluster and disconnect at the end; the cluster keeps running.

    Its nodes decide the priority of workers. It must use token authentication; the token is read
    from `RAY_AUTH_TOKEN`, the file `RAY_AUTH_TOKEN_PATH`, or Ray's default file.

    Args:
        address: of the head node, such as `10.0.0.1:6379`, or `auto`.

    Raises:
        ConnectionError: no cluster answers at the address.
    """
    with _kept_signal_handlers():
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """Give Tune a folder that is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="gmsearch-tune-", ignore_cleanup_errors=True) as path:
        yield path


@contextlib.contextmanager
def _kept_signal_handlers() -> Iterator[None]:
    """Restore the signal handlers, which Ray replaces when it starts."""
    handlers = [signal.getsignal(number) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for processes started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
