"""Environment of a measurement: packages, machine, commit. Needs neither torch nor ray."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from gmsearch.experiment import TimingMode

_PACKAGES = ("gmsearch", "torch", "torchvision", "timm", "fvcore", "ray", "optuna", "numpy")


def describe() -> dict[str, Any]:
    """Return packages, Python, host, system, processor, driver and git commit as plain data."""
    return {
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "python": platform.python_version(),
        "host": platform.node(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpus": cpu_count(),
        "nvidia_driver": _nvidia_driver(),
        "commit": _commit(),
        "command": sys.argv,
    }


def cpu_name() -> str:
    """Return the processor's model name, or its architecture if the system does not state one."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cpu_count() -> int:
    """Return how many CPUs this process may use: of its affinity, or fewer where it has a quota.

    A quota, as containers have, counts in whole CPUs: with 1.5 two busy threads are throttled.
    """
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, int(min([affine or 1, *_cpu_quotas()])))


def memory_bytes() -> int:
    """Return the memory of this machine in bytes; as much as there can be where it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize


def _cpu_quotas(root: Path = Path("/")) -> Iterator[float]:
    """Yield the CPUs' worth of time granted to this process by cgroups, theirs and all above.

    Both versions of cgroups are read. A container sees its own group as the top of the tree, under
    whatever path the host knows it by, so a path that does not exist is passed over.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        number, controllers, group = line.split(":", 2)
        if number == "0" and not controllers:
            tops = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mounts / "cpu", mounts / controllers]
        else:
            continue
        inner = Path(group.lstrip("/"))
        for top in tops:
            for folder in (top / inner, *(top / above for above in inner.parents), top):
                yield from _quota(folder)


def _quota(group: Path) -> Iterator[float]:
    """Yield the quota of one group over its period, if it has one."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="utf-8")
            period = (group / "cpu.cfs_period_us").read_text(encoding="utf-8")
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)


def lacking(mode: TimingMode, device_kind: str) -> str | None:
    """Return what this machine lacks for a timing mode, with the remedy, or None."""
    if device_kind != "cpu" or mode == "eager":
        return None
    if mode == "graph":
        return "a CUDA graph needs a GPU; use mode compiled, or a machine with a GPU"
    # As torch.compile looks for it.
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is not None:
        return None
    return f"torch.compile needs a C++ compiler, but {compiler} is missing; install it or set CXX"


@contextlib.contextmanager
def without_tf32_advice() -> Iterator[None]:
    """Hide the advice of torch.compile to enable TF32, which is off on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "TensorFloat32 tensor cores for float32 matrix multiplication", UserWarning
        )
        yield


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _nvidia_driver() -> str | None:
    version = Path("/proc/driver/nvidia/version")
    if not version.is_file():
        return None
    return version.read_text(encoding="utf-8").splitlines()[0].strip()


def _commit() -> str | None:
    """Return the commit of the current folder, with `-dirty` appended if files differ."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    return done.stdout.strip() or None
