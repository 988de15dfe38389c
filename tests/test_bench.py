"""The benchmarks: their statistics, their files, and that each script runs."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCH = Path(__file__).parent / "bench"
BLOCKED = ("ray", "optuna", "pydantic", "typer", "rich", "fvcore", "pandas", "moocore", "ruamel")


@pytest.fixture(scope="module")
def paired() -> Iterator[ModuleType]:
    """Import the scripts' common module as they do, from their folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        import paired

        yield paired


@pytest.fixture
def run_here(
    paired: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a script in this process, which has torch loaded already.

    It returns the exit code and what was written to stdout and stderr.
    """

    def run(script: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *arguments])
        code = importlib.import_module(script).main()
        return (code or 0, *capsys.readouterr())

    return run


def _run(script: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess:
    """Run a script in a process of its own, needed by those that start processes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if path is not None:
        before = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path), before]))
    command = [sys.executable, str(BENCH / f"{script}.py"), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=280
    )


@pytest.mark.parametrize("n", [6, 9, 12, 15])
def test_the_interval_holds_the_median_and_no_narrower_one_does(
    paired: ModuleType, n: int
) -> None:
    """By all 2^n ways in which n values fall below and above the median of what they are from."""

    def missed(low: int, high: int) -> float:
        """Return how often fewer than `low` or at least `high` (from 1) values are below."""
        below = [sum(signs) for signs in itertools.product((0, 1), repeat=n)]
        return sum(not low <= count < high for count in below) / len(below)

    low, high = paired.median_interval(list(range(n, 0, -1)))

    assert missed(low, high) <= 0.05 < missed(low + 1, high - 1)


def test_few_pairs_give_the_whole_range(paired: ModuleType) -> None:
    """Below six values no pair of them holds the median in 95 % of all runs."""
    assert paired.median_interval([3.0, 1.0, 2.0, 5.0, 4.0]) == (1.0, 5.0)
    assert paired.median_interval([2.0]) == (2.0, 2.0)


def test_sides_are_measured_in_alternating_order(paired: ModuleType) -> None:
    """The first round is not counted; the order turns with every round."""
    called: list[str] = []

    def side(name: str) -> float:
        called.append(name)
        return float(len(called))

    times = paired.interleaved({"a": lambda: side("a"), "b": lambda: side("b")}, 2)

    assert called == ["b", "a", "a", "b", "b", "a"]
    assert times == {"a": [3.0, 6.0], "b": [4.0, 5.0]}


def test_a_ratio_is_of_pairs_and_judged_by_its_interval(paired: ModuleType) -> None:
    """Speeds are inverse times; a reach inside the interval is neither met nor missed."""
    times = {"ours": [1.0, 2.0, 4.0], "rival": [4.0, 8.0, 8.0]}
    row = paired.faster(times, "x", "ours", "rival", unit="images", reach="≥ 2")

    assert (row.ratio, row.low, row.high, row.n) == (4.0, 2.0, 4.0, 3)
    assert (row.ours_value, row.rival_value, row.unit) == (0.5, 0.125, "images/s")
    assert row.met == "yes"
    speed = paired.faster(times, "x", "ours", "rival", unit="images", reach="≥ 3")
    assert speed.met == "within the interval"
    assert paired.share(times, "x", "ours", "rival", reach="≤ 0.1").met == "no"
    assert paired.share(times, "x", "ours", "rival").met == ""


def test_a_missed_reach_leaves_its_profile(paired: ModuleType, tmp_path: Path) -> None:
    """Beside the result, until the reach is met; the document holds every result there is."""
    times = {"ours": [1.0], "rival": [2.0]}
    good, bad = (paired.faster(times, "x", *times, unit="u", reach=r) for r in ("≥ 2", "≥ 3"))
    profile = tmp_path / "cost.profile.txt"

    paired.write("startup", [good], tmp_path)
    paired.write("cost", [good, bad], tmp_path, profile=lambda: "what bounds it")
    assert profile.read_text(encoding="utf-8") == "what bounds it"
    paired.write("cost", [good], tmp_path, profile=lambda: "what bounds it")

    assert not profile.exists()
    document = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert document.index("## cost") < document.index("## startup")
    kept = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert kept["rows"][0]["met"] == "yes"
    assert kept["machine"]["packages"]["torch"] == torch.__version__.split("+")[0]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["training", "evaluation"])
def test_every_script_of_several_processes_runs(script: str, tmp_path: Path) -> None:
    """Both sides of each comparison; where they must agree, they do or the script fails."""
    done = _run(script, "--quick", "--out", str(tmp_path))

    assert done.returncode == 0, done.stderr
    _check_results(script, tmp_path, done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["bands", "cost", "startup"])
def test_every_script_of_one_process_runs(
    run_here: Callable[..., tuple[int, str, str]], script: str, tmp_path: Path
) -> None:
    """Both sides of each comparison; where they must agree, they do or the script fails."""
    code, printed, _ = run_here(script, "--quick", "--out", str(tmp_path))

    assert code == 0
    _check_results(script, tmp_path, printed)


def _check_results(script: str, out: Path, printed: str) -> None:
    """Check that every comparison has a ratio, and that the document holds what was printed."""
    result = json.loads((out / f"{script}.json").read_text(encoding="utf-8"))
    assert all(row["ratio"] > 0 for row in result["rows"])
    assert printed in (out / "bench.md").read_text(encoding="utf-8") + "\n"


@pytest.mark.slow
def test_the_gpu_script_needs_the_measuring_core_alone(tmp_path: Path) -> None:
    """All its parts run, here on the CPU, where nothing of a search can be imported."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in BLOCKED),
        encoding="utf-8",
    )
    done = _run("gpu", "--device", "cpu", "--quick", "--out", str(tmp_path), path=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "not measured" not in done.stdout
    assert "skipped" not in done.stdout
    assert {p.stem for p in tmp_path.glob("*.json")} == {
        f"gpu_{part}" for part in ("training", "sharing", "bands", "evaluation", "latency")
    }


@pytest.mark.slow
def test_a_used_up_budget_starts_no_job_and_says_so(
    run_here: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """The jobs are named, and results of an earlier run are kept."""
    quick = ("--device", "cpu", "--quick", "--repeats", "2", "--out", str(tmp_path))
    done = _run("gpu", *quick, "--only", "evaluation")
    assert done.returncode == 0, done.stderr
    earlier = (tmp_path / "gpu_evaluation.json").read_text(encoding="utf-8")
    assert [row["n"] for row in json.loads(earlier)["rows"]] == [2]

    code, _, errors = run_here("gpu", *quick, "--only", "bands", "evaluation", "--budget", "0")
    assert code == 0
    for part in ("evaluation", "bands"):
        assert f"{part}: skipped, the budget was used up: small net\n" in errors
    assert [path.name for path in tmp_path.glob("*.json")] == ["gpu_evaluation.json"]
    assert (tmp_path / "gpu_evaluation.json").read_text(encoding="utf-8") == earlier


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_script_says_that_there_is_none(
    run_here: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """One line, exit code 2, and no result that could be taken for one."""
    code, printed, errors = run_here("gpu", "--out", str(tmp_path))

    assert (code, printed, errors.count("\n")) == (2, "", 1), errors
    assert not list(tmp_path.iterdir())
