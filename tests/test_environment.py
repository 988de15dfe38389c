"""The CPUs that this process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gmsearch.environment import _cpu_quotas, cpu_count

V1 = "4:memory:/m\n3:cpu,cpuacct:{group}\n0::/\n"


def machine(folder: Path, group: str, files: dict[str, str]) -> Path:
    """Write the files that a system shows of the group of this process; return their root."""
    for name, content in {"proc/self/cgroup": group, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def v1(group: str, quota: str, period: str = "100000") -> dict[str, str]:
    """Return the files of a quota of version 1."""
    place = Path("sys/fs/cgroup/cpu,cpuacct") / group.lstrip("/")
    return {f"{place}/cpu.cfs_quota_us": quota, f"{place}/cpu.cfs_period_us": period}


CGROUP = "sys/fs/cgroup"
CASES: dict[str, tuple[str, dict[str, str], list[float]]] = {
    "none": ("0::/\n", {}, []),
    "a container of version 2": ("0::/\n", {f"{CGROUP}/cpu.max": "150000 100000\n"}, [1.5]),
    "no limit": ("0::/\n", {f"{CGROUP}/cpu.max": "max 100000\n"}, []),
    "a limit above": (
        "0::/user/job/step\n",
        {
            f"{CGROUP}/user/job/step/cpu.max": "400000 100000",
            f"{CGROUP}/user/cpu.max": "200000 100000",
        },
        [2, 4],
    ),
    "version 1": (V1.format(group="/job"), v1("/job", "50000\n"), [0.5]),
    "version 1 without limit": (V1.format(group="/"), v1("/", "-1\n"), []),
    "a container of version 1": (V1.format(group="/docker/1a2b"), v1("/", "300000"), [3]),
    "unreadable": ("0::/\n", {f"{CGROUP}/cpu.max": "what\n"}, []),
}


@pytest.mark.parametrize("case", list(CASES))
def test_quotas_are_found(case: str, tmp_path: Path) -> None:
    """Of both versions of cgroups, of the process's group and all above, in and out of one."""
    group, files, expected = CASES[case]
    assert sorted(set(_cpu_quotas(machine(tmp_path, group, files)))) == expected


def test_a_system_without_cgroups_has_no_quota(tmp_path: Path) -> None:
    """Nothing is read where there is nothing."""
    assert list(_cpu_quotas(tmp_path)) == []


def counted(before: str) -> int:
    """Return the CPUs counted by a process that does something before."""
    code = f"{before}\nfrom gmsearch.environment import cpu_count\nprint(cpu_count())"
    return int(subprocess.check_output([sys.executable, "-c", code], text=True))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity")
def test_an_affinity_counts() -> None:
    """A process bound to one CPU counts one."""
    assert counted("import os\nos.sched_setaffinity(0, [min(os.sched_getaffinity(0))])") == 1


def test_a_quota_of_this_system_counts() -> None:
    """A process in a group of one CPU's time counts one; half a CPU is one too."""
    folder = Path("/sys/fs/cgroup")
    old = (folder / "cpu").is_dir()
    group = (folder / "cpu" if old else folder) / f"gmsearch-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("needs the right to make a group")
    try:
        for quota in (100_000, 50_000):
            try:
                if old:
                    (group / "cpu.cfs_quota_us").write_text(str(quota))
                else:
                    (group / "cpu.max").write_text(f"{quota} 100000")
            except OSError:
                pytest.skip("groups have no quota here")
            join = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')"
            assert counted(join) == 1
    finally:
        group.rmdir()
    assert cpu_count() >= 1
