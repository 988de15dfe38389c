"""What a start of a study is told of the starts before it, and copies of studies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_studies import edit

from gmsearch.ledger import STUDIES, read_records

Run = Callable[..., Any]
MORE = ("seeds: [0, 1]", "seeds: [0, 1, 2]")


@pytest.fixture
def other_versions(finished: Path) -> Path:
    """Return the space of a finished study of other packages, with a seed to train more."""
    packages = read_records(STUDIES / "tiny").runs[0].extra["packages"]
    edit(
        STUDIES / "tiny" / "trials.jsonl",
        *((f'"{name}":"{packages[name]}"', f'"{name}":"0.9"') for name in ("torch", "ray")),
    )
    return finished


def start(gmsearch: Run) -> list[str]:
    """Run the study; return the lines of warning."""
    done = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "earlier trials" in line]


def test_other_versions_are_named_where_trials_are_added(
    other_versions: Path, gmsearch: Run
) -> None:
    """A start that adds trials names the packages that change numbers, and no others, once."""
    assert start(gmsearch) == []  # nothing to do
    edit(other_versions, MORE)
    (line,) = start(gmsearch)
    assert line.startswith("tiny: earlier trials were made with torch 0.9 (now ")
    assert "ray" not in line
    assert "install the earlier versions, or rename `study`" in line
    assert start(gmsearch) == []


def test_the_same_versions_are_not_worth_a_word(finished: Path, gmsearch: Run) -> None:
    """A study that goes on as it began is told nothing."""
    edit(finished, MORE)
    assert start(gmsearch) == []


def test_another_number_of_threads_is_named(finished: Path, gmsearch: Run) -> None:
    """`resources.cpus` may change between two starts, and the start that changes it says so."""
    ledger = STUDIES / "tiny" / "trials.jsonl"
    threads = read_records(STUDIES / "tiny").runs[0].threads
    edit(ledger, (f'"threads":{threads}', '"threads":7'))
    edit(finished, MORE)
    (line,) = start(gmsearch)
    assert line.startswith(f"tiny: earlier trials were made with resources.cpus 7 (now {threads})")


def test_a_copy_opens_under_any_name(finished: Path, gmsearch: Run) -> None:
    """What `list` shows, `report` and `show` take, whatever a file manager called it."""
    for name in ("tiny (copy)", "tiny_old", "Kopie von tiny"):
        shutil.copytree(STUDIES / "tiny", STUDIES / name)
        assert name in gmsearch("list").stdout
        assert gmsearch("report", name, "--ablation").returncode == 0
        assert gmsearch("show", name).returncode == 0
    done = gmsearch("report", "../tiny")
    assert done.returncode == 2
    assert "cannot be a file name" in done.stderr


def test_a_copy_is_continued_once_it_is_renamed(finished: Path, gmsearch: Run) -> None:
    """Run says what to do with a copied folder; done so, it goes on there and not in the first."""
    shutil.copytree(STUDIES / "tiny", STUDIES / "old")
    edit(finished, ("study: tiny", "study: old"), MORE)
    done = gmsearch("run", "tiny.yaml", "--engine", "serial")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "studies/old is a copy of study 'tiny'; to go on in it, write `study: old` in" in (
        done.stderr
    )
    edit(STUDIES / "old" / "space.yaml", ("study: tiny", "study: old"))
    assert gmsearch("run", "tiny.yaml", "--engine", "serial").returncode == 0
    old, first = (read_records(STUDIES / name).trials for name in ("old", "tiny"))
    assert len(old) == len(first) * 3 // 2
