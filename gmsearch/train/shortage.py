"""Tells a shortage of memory from other errors of PyTorch."""

from __future__ import annotations

import torch

_SHORTAGES = (
    "can't allocate memory",  # of the CPU, in PyTorch's own allocator, on Linux
    "not enough memory",  # likewise, on other systems
    "std::bad_alloc",
    "out of memory",
    "alloc_failed",  # cuBLAS and cuDNN
    "storage size calculation overflowed",
)


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the CPU.

    PyTorch has a class of its own for its GPU allocator only; the others raise RuntimeError.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _SHORTAGES)
