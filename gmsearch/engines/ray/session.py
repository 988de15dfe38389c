"""The Ray session of a run: a private one, or one that is joined by its address."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator

import ray

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOKEN = secrets.token_hex(32)  # one a process: Ray reads it once


@contextlib.contextmanager
def private(cpus: int, gpus: float) -> Iterator[None]:
    """Start a private Ray session on the loopback address, and end it even after an error.

    Connections need a token that only this process and its children know. An address or another
    Ray in the environment is ignored.
    """
    with _environment("RAY_AUTH_TOKEN", _TOKEN), _kept_signal_handlers():
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=math.ceil(gpus) or None,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        yield
    finally:
        ray.shutdown()


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
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
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
    yield
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
