"""Seeds of every random stream, derived from the seed of a trial or of a study.

Each stream hashes the seed with its own name, so that no two streams run in step. Records of
released versions depend on these bytes: they never change.
"""

from __future__ import annotations

import hashlib

from gmsearch.plain import digest


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for one purpose, such as `derive_seed(seed, "mix", epoch)`."""
    return int.from_bytes(_hashed(seed, names)[:8]) >> 1


def derive_wide_seed(seed: int, *names: str | int) -> int:
    """Return a 256-bit seed for one purpose; NumPy's generators take seeds of any size."""
    return int.from_bytes(_hashed(seed, names))


def sampler_seed(seed: int, asked: int) -> int:
    """Return the 32-bit seed of a sampler's draws after `asked` proposals.

    A resumed sampler that started again from its first seed would repeat its first proposals.
    """
    return int(digest([seed, asked])[:8], 16)


def _hashed(seed: int, names: tuple[str | int, ...]) -> bytes:
    return hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()
