"""The report as a whole: from a study's folder to what is printed and the files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmsearch.errors import StudyError
from gmsearch.report.sections import SECTIONS

MakeStudy = Callable[..., Any]
PARETO = {"pareto.md", "pareto.tex", "pareto.csv", "pareto.png", "pareto.svg"}
ABLATION = {"ablation.md", "ablation.tex", "ablation.csv"}
CURVES = {"curves.png", "curves.svg"}
TRIALS = {"trials.csv"}
TEXTS = {name for name in PARETO | ABLATION if not name.endswith(("png", "svg"))}


def test_without_a_flag_everything_is_written(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """All tables and figures of a whole study, none of them empty."""
    study = fill(make_study(), 8, histories=True)

    printed, files = study.report()

    assert set(files) == PARETO | ABLATION | CURVES | TRIALS
    assert all(path.stat().st_size > 200 for path in files.values())
    for text in ("Does the product", "knee", "high@10 ↑ in %", "better", "undecided", "Holm"):
        assert text in printed


@pytest.mark.parametrize(
    ("flag", "expected"), [("pareto", PARETO), ("ablation", ABLATION | CURVES), ("curves", CURVES)]
)
def test_a_flag_gives_its_part_alone(
    make_study: MakeStudy, fill: Callable[..., Any], flag: str, expected: set[str]
) -> None:
    """Each flag writes its own files and the trials, and no others."""
    _, files = fill(make_study(), 2, histories=True).report(flag)

    assert set(files) == expected | TRIALS


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_a_terminal(full_study: Any, width: int) -> None:
    """Seven arms with eight metrics fit 80 and 100 columns, and no cell is cut."""
    printed, _ = full_study.report(width=width)

    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed


def test_the_same_ledger_gives_the_same_bytes(
    make_study: MakeStudy, fill: Callable[..., Any], tmp_path: Path
) -> None:
    """A second process writes every file to the byte, and loads neither torch, timm nor ray."""
    study = fill(make_study(), 2, histories=True)
    _, files = study.report()
    code = """
import json, sys
from pathlib import Path
from rich.console import Console
from gmsearch.report import write_report
write_report(Path(sys.argv[1]), Path(sys.argv[2]), console=Console(quiet=True))
print(json.dumps([name for name in ("torch", "timm", "ray") if name in sys.modules]))
"""

    command = [sys.executable, "-c", code, str(study.folder), str(tmp_path / "again")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)

    assert json.loads(done.stdout) == []
    for name, path in files.items():
        assert path.read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_study_where_all_failed_names_the_reasons(make_study: MakeStudy) -> None:
    """All failed or infeasible: counts and reasons, no table of numbers, no figure."""
    study = make_study()
    for seed in range(3):
        study.add_trial("none relu", seed, failure="diverged", error=f"loss is nan, step {seed}")
    study.add_infeasible("self gelu", "flops")

    printed, files = study.report()

    assert "3 trials" in printed
    assert "diverged: loss is nan, step 0" in printed
    assert "flops out of bounds before training" in printed
    assert "No trial has completed, so there is nothing to compare; `gmsearch show" in printed
    assert set(files) == TRIALS


def test_a_single_trial_is_a_report(make_study: MakeStudy) -> None:
    """One arm, one seed, hardly a metric: its number stands there, and why there is no more."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5})

    printed, files = study.report()

    assert "50.0" in printed
    assert "high@10, flops, latency_ms not measured" in printed
    assert "baseline has no completed trial" in printed
    assert "no curves" in printed
    assert set(files) == TEXTS | TRIALS


def test_one_objective_and_one_arm(make_study: MakeStudy) -> None:
    """A front of one objective and one arm is drawn, and said to compare nothing."""
    objectives = "{top1: maximize, high@10: maximize, flops: minimize, latency_ms: minimize}"
    study = make_study((objectives, "{top1: maximize}"))
    study.add_trial("none relu", 0, {"top1": 0.5})

    printed, files = study.report("pareto")

    assert set(files) == PARETO | TRIALS
    assert "nothing was compared" in printed


def test_an_ablation_of_a_search_is_made_when_asked_for(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """Without a flag a search gives front and curves; with one, its arms are compared, too."""
    study = fill(make_study(("method: grid, seeds: 8", "method: random, candidates: 7")), 2)

    printed, files = study.report()
    _, asked = study.report("ablation")

    assert set(files) == PARETO | TRIALS
    assert set(asked) == ABLATION | TRIALS
    assert "holdout" in printed


def test_a_folder_that_cannot_be_written_is_bad_input(make_study: MakeStudy) -> None:
    """A file where the folder should be is one line with a remedy."""
    study = make_study()
    study.add_trial("none relu", 0, {"top1": 0.5})
    (study.folder / "out").write_text("in the way", encoding="utf-8")

    with pytest.raises(StudyError, match="cannot be written"):
        study.report()


def test_reading_changes_nothing_in_the_study(
    make_study: MakeStudy, fill: Callable[..., Any]
) -> None:
    """A report leaves every file of the study as it was, while it may be running."""
    study = fill(make_study(), 1)
    before = _contents(study.folder)

    _, files = study.report()

    written = set(files.values())
    after = {path: data for path, data in _contents(study.folder).items() if path not in written}
    assert after == before


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_unknown_flag_is_refused(make_study: MakeStudy) -> None:
    """A flag that no section has is an error that lists the flags, never an empty report."""
    with pytest.raises(ValueError, match="expected flags among pareto, ablation, curves, got f"):
        make_study().report("front")


def test_without_a_completed_trial_no_empty_file_is_written(make_study: MakeStudy) -> None:
    """Without a trial nothing is written; of trials that failed, their table with the reasons."""
    study = make_study()
    printed, files = study.report()
    assert files == {}
    assert printed.count("The study has no trials yet, so there is nothing to report.") == 1
    assert not (study.folder / "out").exists()

    study.add_trial("none relu", 0, failure="diverged", error="loss is nan at epoch 1, step 3")
    printed, files = study.report("ablation")
    assert set(files) == TRIALS
    assert "`gmsearch show gates` says why" in " ".join(printed.split())
    assert "loss is nan at epoch 1, step 3" in files["trials.csv"].read_text(encoding="utf-8")


def test_an_only_arm_is_called_as_its_study(make_study: MakeStudy) -> None:
    """A space without parameters has one arm, and no output leaves its name blank."""
    study = make_study(
        ("product: {choice: [none, self]}", "product: none"),
        ("activation: {choice: [identity, relu, relu6, gelu]}", "activation: relu6"),
        ("baseline: {gate.product: none, gate.activation: relu6}\n", ""),
        ("forbid:\n  - {gate.product: none, gate.activation: identity}\n", ""),
    )
    for seed in range(2):
        study.add_trial({}, seed, {"top1": 0.5, "high@10": 0.4, "flops": 9})
    study.add_timing({}, 1.0)
    _, files = study.report()
    assert ",gates," in files["pareto.csv"].read_text(encoding="utf-8")
    assert "| gates | 50.0 ± 0.0 |" in files["ablation.md"].read_text(encoding="utf-8")
    assert "| gates | 50.0 ± 0.0 |" in files["pareto.md"].read_text(encoding="utf-8")


def test_sections_have_names_of_their_own() -> None:
    """No section writes the files of another, and what is printed has a heading."""
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
    assert all(section.title for section in SECTIONS if section.page or section.always)
