"""Measuring core on a GPU against the usual ways, and several trials that share one GPU.

Needs only the measuring core. Run `python tests/bench/gpu.py` from the repository's root, with
gmsearch installed or on PYTHONPATH: about five minutes on one H100; `--full` measures every
preset and mode. Results are written after every job, to `results/gpu_<part>.json` and
`results/gpu.md`, so that an interrupted run loses one job at most.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gpu_parts
import torch
from gpu_parts import Job
from gpu_scale import Scale, full, quick, usual
from paired import Row, arguments, write

NOTES = {
    "training": (
        (
            "ours: uint8 images on the device, bfloat16 autocast, channels_last; eager, "
            "torch.compile, or torch.compile with CUDA graphs"
        ),
        (
            "rival: timm's train.py with its prefetching loader, decoded images, one worker a "
            "CPU, --amp --amp-dtype bfloat16 --channels-last"
        ),
        (
            "matrix rate: bfloat16 products on this device; training is 6 x flops of one image x "
            "images/s (a multiply-add is two operations, the backward pass two forwards)"
        ),
        (
            "anchors, CIFAR-10 on one A100: airbench reaches 96 % in 27.3 s and 3.1 PFLOP, 36 % "
            "of its peak; a standard ResNet-18 in 7 minutes and 32.3 PFLOP, 25 %"
        ),
    ),
    "sharing": ("eager trials in processes of their own; images/s of all together",),
    "bands": ("the origin works on the CPU",),
    "evaluation": (
        (
            "ours: true float32; rival: timm's validate.py with its prefetching loader, its "
            "convolutions in TF32 where torch lets them"
        ),
    ),
    "latency": (
        "batch norms folded, channels_last, float32 without TF32, 1000 classes",
        "pairs: blocks of runs, each followed by one of the reference in the same mode",
    ),
}
PARTS: dict[str, Callable[[Scale], Iterator[Job]]] = {
    "evaluation": gpu_parts.evaluation,
    "training": gpu_parts.training,
    "latency": gpu_parts.latency,
    "sharing": gpu_parts.sharing,
    "bands": gpu_parts.band_evaluation,
}
"""Parts in the order in which they are measured."""


def part(name: str, scale: Scale, out: Path, deadline: float) -> bool:
    """Measure one part and write it after every job; return whether no job failed.

    No job is started after the deadline, a time of `time.monotonic`.
    """
    rows: list[Row] = []
    failed: list[str] = []
    skipped: list[str] = []
    device = None if scale.device == "cpu" else torch.cuda.get_device_name(scale.device)
    save = functools.partial(write, f"gpu_{name}", rows, out, device=device)
    for job in PARTS[name](scale):
        if time.monotonic() > deadline:
            skipped.append(job.name)
            continue
        start = time.monotonic()
        try:
            rows += job.run()
        except RuntimeError as error:  # a job that this device cannot run leaves the others
            reason = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            failed.append(f"not measured: {job.name} ({reason})")
        sys.stderr.write(f"{name}: {job.name}, {time.monotonic() - start:.0f} s\n")
        save(notes=(*NOTES[name], *failed), show=False)
    notes = [*NOTES[name], *failed]
    if skipped:
        notes.append(f"skipped, the budget was used up: {', '.join(skipped)}")
    if not rows and not failed:
        sys.stderr.write(f"{name}: {notes[-1]}\n")
        return True
    missed = time.monotonic() <= deadline and name == "training"
    save(notes=notes, profile=functools.partial(gpu_parts.profile, scale) if missed else None)
    return not failed


def main() -> int:
    """Measure and write one part after another."""
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="cpu only to test the script")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--full", action="store_true", help="every preset, mode and condition")
    parser.add_argument("--repeats", type=int, metavar="N", help="pairs per comparison (7)")
    parser.add_argument(
        "--budget", type=float, default=math.inf, metavar="SECONDS", help="start no job after this"
    )
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.stderr.write(f"{options.device}: torch finds no GPU here; nothing was measured\n")
        return 2
    scale = (quick if options.quick else full if options.full else usual)(options.device)
    if options.repeats is not None:
        scale = dataclasses.replace(scale, repeats=options.repeats)
    deadline = time.monotonic() + options.budget
    done = [part(name, scale, options.out, deadline) for name in PARTS if name in options.only]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
