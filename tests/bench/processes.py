"""Sides that run in processes of their own, one after another or at the same time."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Self

# Forked from a server that has loaded torch but not used it.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "timm"])


class Side:
    """A process that does one piece of work on request."""

    def __init__(self, make: Callable[..., Callable[[], object]], **arguments: Any) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(theirs, make, arguments))
        self.process.start()
        theirs.close()

    def __enter__(self) -> Self:
        """Wait until the work is set up."""
        try:
            self.wait()
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):  # it has failed before
            self.pipe.send("")
        self.process.join()

    def start(self) -> None:
        """Start the work once."""
        self.pipe.send("work")

    def wait(self) -> object:
        """Wait until the work is done; return its result.

        Raises:
            RuntimeError: if it failed, with the last line of its exception.
        """
        done, answer = self.pipe.recv()
        if not done:
            raise RuntimeError(answer)
        return answer


@contextlib.contextmanager
def together(*sides: Side) -> Iterator[None]:
    """Set up sides at the same time; end their processes afterwards."""
    with contextlib.ExitStack() as stack:
        for side in sides:
            stack.enter_context(side)
        yield


def _serve(
    pipe: Connection, make: Callable[..., Callable[[], object]], arguments: dict[str, Any]
) -> None:
    try:
        work = make(**arguments)
        pipe.send((True, None))
        while pipe.recv():
            pipe.send((True, work()))
    except Exception as error:  # noqa: BLE001 - raised again by `wait`
        pipe.send((False, traceback.format_exception_only(error)[-1].strip()))


def per_image(sides: Sequence[Side], images: int) -> float:
    """Return the wall seconds per image of all sides together, each with `images` images."""
    start = time.perf_counter()
    for side in sides:
        side.start()
    for side in sides:
        side.wait()
    return (time.perf_counter() - start) / (len(sides) * images)
