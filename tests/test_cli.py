"""The command line as a user meets it: real processes, exit codes, what is loaded and written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer

from gmsearch.cli.app import COMMANDS, app
from gmsearch.experiment import Bands, TimingCondition
from gmsearch.report.sections import FLAGS

Run = Callable[..., Any]
"""Fixture that runs the command line in this process."""

HEAVY = {"torch", "timm", "ray", "torchvision"}


def loaded_by(*arguments: str) -> set[str]:
    """Return the top-level modules a command has loaded when it ends."""
    code = (
        "import sys, json\n"
        "from gmsearch.cli import main\n"
        f"sys.argv = ['gmsearch', *{list(arguments)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), "
        "file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture(scope="module")
def finished_study(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    """Run the tiny study to its end, in a process of its own; return the folder."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(tiny_text, encoding="utf-8")
    command = [sys.executable, "-m", "gmsearch", "run", "tiny.yaml", "--engine", "serial"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def finished(finished_study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of a finished study the current one; only to be read."""
    monkeypatch.chdir(finished_study)
    return finished_study / "tiny.yaml"


@pytest.mark.parametrize("arguments", [["--version"], ["schema"], ["check", "tiny.yaml"]])
def test_light_commands_leave_torch_and_ray_alone(tiny_space: Path, arguments: list[str]) -> None:
    """Version, schema and check load neither torch nor ray."""
    assert HEAVY & loaded_by(*arguments) == set()


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_no_heavy_package(arguments: list[str]) -> None:
    """The help of the program and of every command imports Typer and the standard library."""
    loaded = loaded_by(*arguments)
    heavy = HEAVY | {"numpy", "optuna", "pandas", "rich", "ruamel"}
    if arguments == ["--help"]:
        heavy |= {"pydantic"}  # which Typer loads to read the arguments of a command
    assert "typer" in loaded
    assert heavy & loaded == set()


def test_reading_commands_leave_torch_and_ray_alone(finished: Path) -> None:
    """Report, list and show read a finished study without torch or ray."""
    key = next(finished.parent.glob("studies/tiny/history/*.json")).stem
    for arguments in (["report"], ["list"], ["show", "tiny"], ["show", "tiny", key]):
        assert HEAVY & loaded_by(*arguments) == set()


def test_the_surface_is_pinned() -> None:
    """Commands and flags change on purpose only."""
    commands = {
        "run": {"--engine", "--workers", "--hang-seconds", "--data-root"},
        "report": {"--pareto", "--ablation", "--curves", "--out"},
        "measure": {
            *("--radii", "--ranges", "--split", "--data-root"),
            *("--edge", "--rescale", "--dc", "--boundary", "--bn", "--latency", "--disturbed"),
        },
        "check": {"--data-root"},
        "profile": {
            *("--resolution", "--classes", "--device", "--threads", "--batch-size", "--mode"),
            *("--dtype", "--timing", "--by-kind", "--csv", "--json"),
        },
        "list": {"--json"},
        "show": {"--json", "--limit", "--sort", "--state"},
        "schema": set(),
    }
    group = typer.main.get_command(app)
    flags = {
        name: {o for p in command.params for o in p.opts if o.startswith("--")} - {"--help"}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }
    assert flags == commands
    assert {f"--{flag}" for flag in FLAGS} == commands["report"] - {"--out"}


@pytest.mark.parametrize(
    ("command", "flag", "spec", "field"),
    [
        *(("measure", f"--{name}", Bands, name) for name in Bands().protocol),
        ("profile", "--mode", TimingCondition, "mode"),
        ("profile", "--dtype", TimingCondition, "dtype"),
    ],
)
def test_flags_offer_what_the_spec_accepts(
    gmsearch: Run, command: str, flag: str, spec: type, field: str
) -> None:
    """The choices of a flag are those of the field that it sets."""
    done = gmsearch(command, "name", flag, "other")
    choices = ", ".join(map(repr, get_args(get_type_hints(spec)[field])))
    assert done.returncode == 2
    assert f"'{flag}'" in done.stderr
    assert f"'other' is not one of {choices}." in done.stderr


def test_check_counts_and_costs(gmsearch: Run, tiny_space: Path) -> None:
    """Check prints the exact numbers of candidates and trials, and the range of their cost."""
    done = gmsearch("check", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "candidates 4" in words
    assert "trials 8 = 4 arms × 2 seeds" in words
    assert "flops" in words
    assert not Path("studies").exists()


@pytest.mark.parametrize(
    ("search", "more", "line"),
    [
        ("method: ablation, seeds: 2", "", "trials 10 = 5 arms × 2 seeds"),
        ("method: random, candidates: 3, seeds: 1", "", "trials 3 = 3 arms × 1 seed "),
        ("method: random, candidates: 99, seeds: 1", "", "trials 12 = 12 arms × 1 seed "),
        ("method: grid, seeds: 1", "{params: {max: 1 x baseline}}", "trials 4 = 4 arms"),
        ("method: tpe, candidates: 9, seeds: 1", "{flops: {max: 1e9}}", "trials 9 = 9 arms"),
    ],
)
def test_check_counts_what_a_run_would_train(
    gmsearch: Run, tiny_space: Path, search: str, more: str, line: str
) -> None:
    """One factor at a time, as many as asked for or as there are, and only what is feasible."""
    text = tiny_space.read_text().replace("mlp_ratio: 2", "mlp_ratio: {choice: [1, 2, 3]}")
    text = text.replace("baseline: {", "baseline: {mlp_ratio: 1, ")
    text = text.replace("method: grid, seeds: [0, 1]", search)
    tiny_space.write_text(f"{text}constraints: {more}\n" if more else text)
    done = gmsearch("check", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert line in " ".join(done.stdout.split()) + " "


def test_a_study_in_which_nothing_may_be_trained_is_no_success(
    gmsearch: Run, tiny_space: Path
) -> None:
    """Every candidate infeasible: exit code 1, and the constraint that did it."""
    text = tiny_space.read_text().replace(
        "baseline: {gate.product: none, gate.activation: relu6}", ""
    )
    tiny_space.write_text(text + "constraints: {flops: {max: 1}}\n")
    done = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert done.returncode == 1
    assert "no candidate satisfies the constraints: flops <= 1" in done.stderr


def test_run_report_list_and_show_tell_one_story(gmsearch: Run, finished: Path) -> None:
    """A finished study is listed, shown and reported under its name, the last one by default."""
    assert "tiny" in gmsearch("list").stdout
    shown = gmsearch("show", "tiny").stdout
    assert shown.count("COMPLETE") == 8
    key = next(Path("studies/tiny/history").glob("*.json")).stem
    one = gmsearch("show", "tiny", key[:10])
    assert one.returncode == 0
    assert key in one.stdout
    assert "versions" in one.stdout
    report = gmsearch("report", "--pareto", "--ablation")
    assert report.returncode == 0, report.stderr
    assert "study tiny" in report.stdout
    names = {path.name for path in Path("reports/tiny").iterdir()}
    assert {"pareto.png", "pareto.svg", "pareto.csv", "pareto.md"} <= names
    assert {"ablation.csv", "ablation.md", "ablation.tex"} <= names


def test_a_second_run_says_that_there_is_nothing_to_do(gmsearch: Run, finished: Path) -> None:
    """The second run trains nothing, says so, loads neither torch nor ray, and exits with 0."""
    done = gmsearch("run", "tiny.yaml")
    assert done.returncode == 0
    assert "nothing to do" in done.stderr
    assert HEAVY & loaded_by("run", "tiny.yaml") == set()


def test_a_failed_trial_is_exit_code_1(gmsearch: Run, tiny_space: Path) -> None:
    """A study with a failed trial ends, says so, and exits with 1."""
    text = tiny_space.read_text().replace("lr: 3e-3", "lr: 1e30, optimizer: sgd")
    tiny_space.write_text(text.replace("seeds: [0, 1]", "seeds: [0]"))
    done = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert done.returncode == 1
    assert "FAILED (diverged) loss is" in done.stderr
    assert "4 FAILED" in done.stderr
    assert gmsearch("report").returncode == 1


BAD = {
    "missing file": (["run", "none.yaml"], "", "none.yaml"),
    "a folder": (["run", "."], "", "."),
    "unknown key": (["run", "x.yaml"], "modle: {}\n", "x.yaml:1:1"),
    "not yaml": (["check", "x.yaml"], "a: [1", "x.yaml:"),
    "unknown study": (["report", "none"], "", "none"),
    "no study": (["report"], "", "gmsearch run"),
    "no study to list": (["list"], "", "gmsearch run"),
    "study name that climbs": (["show", "../x"], "", "name"),
    "too many workers": (["run", "tiny.yaml", "--workers", "4000"], "", "--workers"),
    "no workers": (["run", "tiny.yaml", "--workers", "0"], "", "--workers"),
    "unknown engine": (["run", "tiny.yaml", "--engine", "dask"], "", "--engine"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_line_and_exit_code_2(gmsearch: Run, tiny_space: Path, case: str) -> None:
    """What a user wrote wrong is named, without a traceback, and nothing is written."""
    arguments, text, words = BAD[case]
    Path("x.yaml").write_text(text, encoding="utf-8")
    done = gmsearch(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("studies").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("search:", "resources: {cpus: 4000}\nsearch:", "resources.cpus"),
        ("search:", "resources: {gpus: 64}\nsearch:", "GPU"),
        ("{name: spectral", "{name: parquet, root: nowhere}\n#", "nowhere"),
        ("{name: spectral", "{name: folder, root: empty}\n#", "empty"),
        ("radii: [4]", "radii: [40]", "radii"),
        ("radii: [4]", "ranges: [[0.1, 0.9]]", "ranges: 0.1:0.9"),
        ("search:", "constraints: {flops: {max: 1}}\nsearch:", "baseline: breaks flops <= 1"),
    ],
)
def test_what_this_machine_or_its_data_cannot_do_is_bad_input(
    gmsearch: Run, tiny_space: Path, old: str, new: str, words: str
) -> None:
    """Resources and data that are not there are refused before anything is written."""
    Path("empty").mkdir()
    tiny_space.write_text(tiny_space.read_text().replace(old, new))
    done = gmsearch("run", "tiny.yaml")
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not Path("studies").exists()


def test_a_missing_compiler_is_bad_input(
    gmsearch: Run, tiny_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be compiled where nothing compiles is told before anything is trained."""
    tiny_space.write_text(tiny_space.read_text().replace("lr: 3e-3", "compile: default"))
    monkeypatch.setenv("CXX", sys.executable)
    assert gmsearch("check", "tiny.yaml").returncode == 0
    monkeypatch.setenv("CXX", "no-such-compiler")
    done = gmsearch("check", "tiny.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("tiny.yaml: train.compile: ")
    assert "no-such-compiler" in done.stderr


def test_a_model_that_timm_does_not_have_is_bad_input(gmsearch: Run, tiny_space: Path) -> None:
    """An unknown name is told before a study is begun that could not be mended."""
    head, tail = tiny_space.read_text().split("model:")
    _, rest = tail.split("baseline:")
    rest = rest.split("\n", 1)[1]
    tiny_space.write_text(f"{head}model: {{family: timm, name: starnet_s9}}\n{rest}")
    done = gmsearch("run", "tiny.yaml")
    assert done.returncode == 2
    assert "model.name" in done.stderr
    assert "starnet_s" in done.stderr.split("starnet_s9")[1]
    assert not Path("studies").exists()


def test_kernels_larger_than_their_maps_are_told(gmsearch: Run, tiny_space: Path) -> None:
    """Check names each once with the number of candidates; a run says the first in one line."""
    text = tiny_space.read_text().replace("kernel_size: 3", "kernel_size: [7, 13]")
    tiny_space.write_text(text)
    done = gmsearch("check", "tiny.yaml")
    assert done.returncode == 0
    line = "stage 1: a kernel of 13 is larger than its map of 4x4 pixels (4 candidates)"
    assert done.stderr.strip() == f"tiny.yaml: {line}"
    ran = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert ran.returncode == 0
    assert ran.stderr.count("is larger than its map") == 1


def test_operators_nobody_counts_are_told(gmsearch: Run, tiny_space: Path) -> None:
    """Check says which operators of timm's models are in no static metric."""
    head, tail = tiny_space.read_text().split("model:")
    _, rest = tail.split("baseline:")
    rest = rest.split("\n", 1)[1]
    names = "{choice: [mobilenetv3_small_050, mobilenetv2_035]}"
    tiny_space.write_text(f"{head}model: {{family: timm, name: {names}}}\n{rest}")
    done = gmsearch("check", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "tiny.yaml: the static cost leaves out mean (1 candidate)"


def test_an_unwritable_report_folder_is_bad_input(gmsearch: Run, finished: Path) -> None:
    """Where a report cannot be put, one line says so."""
    done = gmsearch("report", "tiny", "--out", str(finished / "below"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unwritable_study_folder_is_bad_input(gmsearch: Run, tiny_space: Path) -> None:
    """Where the studies cannot be kept, nothing is trained."""
    Path("studies").write_text("a file where a folder should be", encoding="utf-8")
    done = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert done.returncode == 2
    assert "studies" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["schema"], ["show", "tiny"], ["report"], ["--help"]])
def test_output_to_a_closed_pipe_is_no_traceback(finished: Path, arguments: list[str]) -> None:
    """A reader that closes the pipe, as `head -1` does, ends a command quietly, with code 1."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gmsearch", *arguments]
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
