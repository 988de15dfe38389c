"""The measuring core on a GPU against the usual ways, and what several trials make of one GPU.

Needs torch and timm, nothing of a search. Run with `python tests/bench/gpu.py` from the
repository's root, gmsearch installed or on PYTHONPATH; `--only` takes some of the parts.
Each part is written as soon as it is measured: `results/gpu_<part>.json`, `results/gpu.md`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gpu_parts
import torch
from gpu_scale import Scale, full, quick
from paired import arguments, write

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
PARTS: dict[str, Callable[[Scale], Iterator[gpu_parts.Job]]] = {
    "training": gpu_parts.training,
    "sharing": gpu_parts.sharing,
    "bands": gpu_parts.band_evaluation,
    "evaluation": gpu_parts.evaluation,
    "latency": gpu_parts.latency,
}


def part(name: str, scale: Scale, out: Path) -> bool:
    """Measure and write one part; return whether all of it could be measured."""
    rows, failed = [], []
    for job in PARTS[name](scale):
        try:
            rows += job()
        except RuntimeError as error:  # what does not run on this device leaves the rest
            failed.append(f"not measured: {type(error).__name__}: {str(error).splitlines()[0]}")
    cpu = scale.device == "cpu"
    device = None if cpu else torch.cuda.get_device_name(scale.device)
    notes = (*NOTES[name], *failed)
    profile = functools.partial(gpu_parts.profile, scale) if name == "training" else None
    write(f"gpu_{name}", rows, out, notes=notes, profile=profile, device=device)
    return not failed


def main() -> int:
    """Measure and write one part after another."""
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="cpu only to try the script")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.stderr.write(f"{options.device}: torch finds no GPU here; nothing was measured\n")
        return 2
    scale = (quick if options.quick else full)(options.device)
    return 0 if all(part(name, scale, options.out) for name in options.only) else 1


if __name__ == "__main__":
    sys.exit(main())
