"""Candidates per second of the closed-form cost against fvcore, at 224 px, in one thread.

GmNets of base width 16 to 72 (doubling by stage), depths 1 to 8, ratios 2 to 6, kernels 3 to 7,
drawn at random; the same for both, and the totals have to be equal on all of them.

Run with `python tests/bench/cost.py`.
"""

from __future__ import annotations

import cProfile
import functools
import io
import pstats
import random
import time
import warnings
from collections.abc import Callable, Sequence

import torch
from paired import Row, arguments, faster, interleaved, write

from gmsearch.models import build
from gmsearch.networks import GmNetSpec, cost
from gmsearch.networks.count import forget_counts

RESOLUTION = 224
CLASSES = 1000
NOTES = (
    "one thread; fvcore: building the network and analysing it",
    "warm: candidates met before; empty cache: all of the sample after the cache was emptied",
)


def candidates(count: int) -> list[GmNetSpec]:
    """Return different candidates of the space, the same at every call."""
    draw = random.Random(0)
    found: dict[str, GmNetSpec] = {}
    while len(found) < count:
        width = draw.randrange(16, 73, 8)
        candidate = GmNetSpec(
            stem_width=draw.randrange(16, 41, 8),
            widths=tuple(width * 2**stage for stage in range(4)),
            depths=tuple(draw.randint(1, 8) for _ in range(4)),
            mlp_ratio=draw.randint(2, 6),
            kernel_size=draw.choice((3, 5, 7)),
        )
        found[candidate.digest] = candidate
    return list(found.values())


def by_fvcore(sample: Sequence[GmNetSpec]) -> list[int]:
    """Return fvcore's totals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses what recent PyTorch deprecates
        from fvcore.nn import FlopCountAnalysis

        totals = []
        for candidate in sample:
            model = build(candidate, num_classes=CLASSES, seed=0).eval()
            analysis = FlopCountAnalysis(model, (torch.zeros(1, 3, RESOLUTION, RESOLUTION),))
            analysis.unsupported_ops_warnings(enabled=False)
            analysis.uncalled_modules_warnings(enabled=False)
            totals.append(int(analysis.total()))
    return totals


def closed_form(sample: Sequence[GmNetSpec]) -> list[int]:
    """Return our totals."""
    return [
        cost(candidate, num_classes=CLASSES, resolution=RESOLUTION).flops for candidate in sample
    ]


def measured(sample: list[GmNetSpec], block: int, repeats: int) -> list[Row]:
    """Return the rows; each pair takes a block of the sample for fvcore."""
    blocks = [sample[i : i + block] for i in range(0, len(sample), block)]
    turn = iter([blocks[-1], *blocks])  # the first is not counted

    def fvcore() -> float:
        now = next(turn)
        start = time.perf_counter()
        totals = by_fvcore(now)
        seconds = (time.perf_counter() - start) / len(now)
        assert totals == closed_form(now), "the closed form is not fvcore's total"
        return seconds

    def warm(loops: int = 200) -> float:
        closed_form(sample)
        start = time.perf_counter()
        for _ in range(loops):
            closed_form(sample)
        return (time.perf_counter() - start) / (loops * len(sample))

    def empty() -> float:
        forget_counts()
        start = time.perf_counter()
        closed_form(sample)
        return (time.perf_counter() - start) / len(sample)

    sides: dict[str, Callable[[], float]] = {"warm": warm, "empty cache": empty, "fvcore": fvcore}
    times = interleaved(sides, repeats)
    compare = functools.partial(faster, times, rival="fvcore", unit="candidates")
    return [
        compare(f"static cost, {len(sample)} candidates", "warm", reach="≥ 10000"),
        compare(f"static cost, {len(sample)} candidates", "empty cache", reach="≥ 10"),
    ]


def profile(sample: list[GmNetSpec]) -> str:
    """Return where the closed form spends its time, warm."""
    profiler = cProfile.Profile()
    profiler.runcall(lambda: [closed_form(sample) for _ in range(50)])
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(15)
    return text.getvalue()


def main() -> None:
    """Measure and write."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    block, repeats = (1, 1) if options.quick else (5, 9)
    sample = candidates(block * repeats)
    rows = measured(sample, block, repeats)
    write("cost", rows, options.out, notes=NOTES, profile=functools.partial(profile, sample))


if __name__ == "__main__":
    main()
