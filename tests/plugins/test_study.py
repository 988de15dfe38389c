"""Plugins in whole studies, through the command line: run, report, measure, profile, refusals."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmsearch import ledger

PARTS = """
import torch
from torch import nn
from gmsearch.plugins import activation, family, metric, product

@activation("swish_t", steps=4)
def swish_t(h):
    return h * torch.sigmoid(1.5 * h)

@product("shifted")
class Shifted(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
    def forward(self, h):
        return self.scale * h.roll(1, dims=3)

@metric("confidence", better="lower")
def confidence(logits, labels):
    return logits.softmax(dim=1).max(dim=1).values.mean()
"""

STRANGER = """
from torch import nn

class TheirNet(nn.Module):
    def __init__(self, num_classes: int, width: int = 4, depth: int = 1):
        super().__init__()
        body = [nn.Conv2d(3, width, 4, 4), nn.ReLU()]
        for _ in range(depth):
            body += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        self.body = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(width, num_classes)
    def forward(self, x):
        return self.head(self.body(x))
"""

SPACE = """\
study: mine
plugins: [parts.py, my_net.py]
model:
  choice:
    theirs: {family: their_net, width: {choice: [4, 8]}, depth: {int: [1, 2]}}
    gmnet:
      family: gmnet
      stem_width: 4
      widths: [4, 8]
      depths: [1, 1]
      gate: {product: shifted, activation: {choice: [relu6, swish_t]}}
    timm: {family: timm, name: test_byobnet}
forbid:
  - {theirs.width: 8, theirs.depth: 2}
data: {name: spectral, resolution: 32, classes: 3, train_images: 60, evaluation_images: 30}
train: {epochs: 1, batch_size: 20, lr: 3e-3}
bands: {radii: [4], every: 0}
objectives: {top1: maximize, confidence: minimize, flops: minimize}
search: {method: grid, seeds: [0]}
"""


Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a space of three families and its plugins."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(PARTS, encoding="utf-8")
    (tmp_path / "their_net.py").write_text(STRANGER, encoding="utf-8")
    (tmp_path / "my_net.py").write_text(
        "from gmsearch.plugins import family\nfrom their_net import TheirNet\n"
        'family("their_net")(TheirNet)\n',
        encoding="utf-8",
    )
    (tmp_path / "mine.yaml").write_text(SPACE, encoding="utf-8")
    return tmp_path


def records(folder: Path, kind: str = "trial") -> list[dict[str, Any]]:
    """Return the records of one kind of the only study."""
    lines = (folder / "studies/mine/trials.jsonl").read_text(encoding="utf-8").splitlines()
    return [tree for tree in map(json.loads, lines) if tree["record"] == kind]


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text of a file, which must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_a_stranger_s_network_beside_gmnet_and_timm(folder: Path, gmsearch: Run) -> None:
    """Three families are trained, counted, split in bands and compared on one front."""
    edit(folder / "mine.yaml", "{choice: [relu6, swish_t]}", "swish_t")
    edit(folder / "mine.yaml", "top1: maximize", "top1: maximize, confidence.high@4: minimize")
    done = gmsearch("run", "mine.yaml", "--engine", "serial")
    assert done.returncode == 0, done.stderr
    for name in ("parts.py", "my_net.py"):
        assert str(folder / name) in done.stderr, "the first run names the files it executes"
    trials = records(folder)
    families = {trial["candidate"]["family"] for trial in trials}
    assert families == {"their_net", "gmnet", "timm"}
    assert len(trials) == 5
    for trial in trials:
        assert trial["state"] == "COMPLETE", trial
        metrics = trial["metrics"]
        versions = ("", ".nodc", ".low@4", ".high@4")
        names = [f"{split}confidence{v}" for split in ("", "holdout.") for v in versions]
        assert {*names, "flops", "elementwise_ops", "high@4"} <= set(metrics)
        assert all(0 < metrics[name] <= 1 for name in names)
    kept = {path.name for path in (folder / "studies/mine/plugins").iterdir()}
    assert kept == {"parts.py", "my_net.py", "their_net.py"}

    done = gmsearch("run", "mine.yaml", "--engine", "serial")
    assert (done.returncode, "nothing to do" in done.stderr) == (0, True), done.stderr
    assert "parts.py" not in done.stderr, "only the first run names the files"

    for path in ("parts.py", "my_net.py", "their_net.py"):
        (folder / path).unlink()
    done = gmsearch("report", "mine", "--pareto")
    assert done.returncode == 0, done.stderr
    with (folder / "reports/mine/pareto.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert "parts.py" in done.stdout
    assert "missing" not in done.stdout

    done = gmsearch("measure", "mine", "--radii", "6")
    assert done.returncode == 0, done.stderr
    measured = records(folder, "measure")
    assert len(measured) == 5
    assert all({"high@6", "confidence.high@6"} <= set(one["metrics"]) for one in measured)


def smallest(folder: Path) -> None:
    """Leave one arm of each family in the space."""
    for old, new in (
        ("{choice: [4, 8]}, depth: {int: [1, 2]}", "4"),
        ("forbid:\n  - {theirs.width: 8, theirs.depth: 2}\n", ""),
        ("{choice: [relu6, swish_t]}", "swish_t"),
    ):
        edit(folder / "mine.yaml", old, new)


@pytest.mark.slow
def test_a_stranger_s_network_is_timed(folder: Path, gmsearch: Run) -> None:
    """The latency of a plugin's network is an objective like any other."""
    smallest(folder)
    for family in ("gmnet", "timm"):
        edit(folder / "mine.yaml", f"{family}:", f"{family}_:")
    edit(folder / "mine.yaml", "flops: minimize", "latency_ms: minimize")
    edit(folder / "mine.yaml", "search:", "forbid: [{model: gmnet_}, {model: timm_}]\nsearch:")
    done = gmsearch("run", "mine.yaml", "--engine", "serial")
    assert done.returncode == 0, done.stderr
    (trial,) = records(folder)
    assert trial["candidate"]["family"] == "their_net"
    assert trial["metrics"]["latency_ms"] > 0


@pytest.mark.slow
@pytest.mark.ray
def test_workers_load_the_plugins(folder: Path, gmsearch: Run) -> None:
    """Through Ray the records are those of the serial engine."""
    smallest(folder)
    metrics: list[dict[str, Any]] = []
    for engine in ("serial", "ray"):
        edit(folder / "mine.yaml", "study: ", f"study: {engine[0]}_")
        done = gmsearch("run", "mine.yaml", "--engine", engine)
        assert done.returncode == 0, done.stderr
        (study,) = (folder / "studies").glob(f"{engine[0]}_*")
        trials = ledger.read_records(study).trials
        metrics.append({key: dict(trial.metrics) for key, trial in trials.items()})
    assert metrics[0] == metrics[1]
    assert len(metrics[0]) == 3


@pytest.mark.slow
def test_reading_executes_nothing(folder: Path, gmsearch: Run) -> None:
    """Report, list and show of a study with plugins load no torch and execute no plugin."""
    smallest(folder)
    assert gmsearch("run", "mine.yaml", "--engine", "serial").returncode == 0
    trap = "raise SystemExit('executed')\n"
    for path in [*folder.glob("*.py"), *(folder / "studies/mine/plugins").glob("*.py")]:
        path.write_text(trap, encoding="utf-8")
    (key,) = [trial["key"] for trial in records(folder)][:1]
    for arguments in (["report"], ["list"], ["show", "mine"], ["show", "mine", key]):
        code = (
            f"import sys; sys.argv = ['gmsearch', *{arguments!r}]\n"
            "from gmsearch.cli import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
            "assert 'torch' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "executed" not in done.stderr


@pytest.mark.slow
def test_a_changed_plugin_is_refused(folder: Path, gmsearch: Run) -> None:
    """A study goes on with the plugins it began with; a changed one is named, nothing written."""
    smallest(folder)
    assert gmsearch("run", "mine.yaml", "--engine", "serial").returncode == 0
    before = {p: p.read_bytes() for p in (folder / "studies").rglob("*") if p.is_file()}
    original = (folder / "their_net.py").read_text(encoding="utf-8")
    edit(folder / "their_net.py", "nn.ReLU()", "nn.GELU()")
    with (folder / "their_net.py").open("a", encoding="utf-8") as file:
        file.write("print('executed')\n")
    done = gmsearch("run", "mine.yaml", "--engine", "serial")
    assert done.returncode == 2
    assert "executed" not in done.stderr, "refused before it is executed"
    assert done.stderr.splitlines()[-1] == (
        f"{folder}/my_net.py has changed since studies/mine began; rename `study` in the space "
        "file, or restore their_net.py from studies/mine/plugins"
    )
    assert {p: p.read_bytes() for p in (folder / "studies").rglob("*") if p.is_file()} == before
    (folder / "their_net.py").write_text(original, encoding="utf-8")
    assert gmsearch("run", "mine.yaml", "--engine", "serial").returncode == 0


@pytest.mark.slow
def test_a_missing_copy_is_reported(folder: Path, gmsearch: Run) -> None:
    """Without its plugins' files a study reports from its records, and says so."""
    smallest(folder)
    assert gmsearch("run", "mine.yaml", "--engine", "serial").returncode == 0
    (folder / "studies/mine/plugins/parts.py").unlink()
    done = gmsearch("report", "mine")
    assert done.returncode == 0, done.stderr
    assert "copy of parts.py is missing" in " ".join(done.stdout.split())
    done = gmsearch("measure", "mine", "--radii", "6")
    assert done.returncode == 2
    assert done.stderr.strip().endswith(
        "studies/mine/plugins/parts.py is missing; restore the study's copy of it"
    )


def test_profile_and_check_of_a_space(folder: Path, gmsearch: Run) -> None:
    """Check and profile count the candidates of a space with plugins; what prints is on stderr."""
    with (folder / "parts.py").open("a", encoding="utf-8") as file:
        file.write("print('hello')\n")
    done = gmsearch("check", "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert "candidates  6" in done.stdout
    assert "hello" not in done.stdout
    assert "hello" in done.stderr
    done = gmsearch("profile", "mine.yaml", "--no-timing", "--json", "costs.json")
    assert done.returncode == 0, done.stderr
    tree = json.loads((folder / "costs.json").read_text(encoding="utf-8"))
    assert "their_net" in json.dumps(tree)
    assert not (folder / "studies").exists()


BAD = {
    "missing": (
        ("mine.yaml", "parts.py", "part.py"),
        (
            "mine.yaml:2:11: plugins: part.py: there is no file {folder}/part.py; the folder has "
            "my_net.py, parts.py, their_net.py"
        ),
    ),
    "import": (
        ("parts.py", "import torch\n", "import torch\nimport no_such_module\n"),
        (
            "mine.yaml:2:11: plugins: {folder}/parts.py:3: does not import: ModuleNotFoundError: "
            "No module named 'no_such_module'"
        ),
    ),
    "signature": (
        ("their_net.py", "num_classes: int, ", "n: int, "),
        (
            "mine.yaml:2:21: plugins: {folder}/my_net.py:3: family their_net: expected an "
            "argument num_classes, got TheirNet(n: int, width: int = 4, depth: int = 1); register "
            "a function that takes num_classes and returns the network"
        ),
    ),
    "not a list": (
        ("mine.yaml", "[parts.py, my_net.py]", "{parts.py: 1}"),
        "mine.yaml:2:10: plugins: ",
    ),
    "argument": (
        ("mine.yaml", "width: {choice", "wdith: {choice"),
        "mine.yaml:5:33: model.theirs: unknown key 'wdith'; did you mean 'width'?",
    ),
    "value": (
        ("mine.yaml", "width: {choice: [4, 8]}", "width: wide"),
        "mine.yaml:5:40: model.theirs.width: ",
    ),
    "logits": (
        ("their_net.py", "self.head(self.body(x))", "self.body(x)"),
        (
            "mine.yaml: model.family: their_net of their_net.py:4: expected logits of shape "
            "(2, 3), got (2, 4)"
        ),
    ),
    "not finite": (
        ("their_net.py", "self.head(self.body(x))", "self.head(self.body(x)).sqrt()"),
        "mine.yaml: model.family: their_net of their_net.py:4: expected finite logits, got ",
    ),
    "forward": (
        ("their_net.py", "self.head(self.body(x))", "self.head(x)"),
        (
            "mine.yaml: model.family: their_net of their_net.py:4 fails on images of shape "
            "(2, 3, 32, 32): their_net.py:13: RuntimeError: "
        ),
    ),
    "build": (
        ("their_net.py", "super().__init__()", "super().__init__()\n        1 / 0"),
        (
            "mine.yaml: model.family: their_net of their_net.py:4 cannot be built: "
            "their_net.py:7: ZeroDivisionError: division by zero"
        ),
    ),
    "product": (
        ("parts.py", "self.scale * h.roll(1, dims=3)", "h[:, :1]"),
        (
            "mine.yaml: model.gate.product: shifted of parts.py:10: expected a tensor of the "
            "input's shape (1, 16, 8, 8), got (1, 1, 8, 8)"
        ),
    ),
    "gain": (
        ("mine.yaml", "stem_width: 4", "gain: unit_variance"),
        "mine.yaml:7:7: model.gmnet.gain: the moments of product shifted are not known; set ",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(folder: Path, gmsearch: Run, case: str) -> None:
    """A mistake in a plugin, or in its use, is one line with its place; nothing is written."""
    (name, old, new), expected = BAD[case]
    edit(folder / name, old, new)
    done = gmsearch("check", "mine.yaml")
    assert (done.returncode, done.stdout) == (2, ""), done
    lines = [line for line in done.stderr.splitlines() if line.startswith("mine.yaml:")]
    if " executes " in lines[0]:
        del lines[0]
    assert lines, done
    assert lines[0].startswith(expected.format(folder=folder)), lines
    assert "Traceback" not in done.stderr
    assert not (folder / "studies").exists()


def test_an_endless_space_is_tried_before_it_is_searched(folder: Path, gmsearch: Run) -> None:
    """Where candidates cannot be listed, some are drawn and built before anything is written."""
    smallest(folder)
    edit(folder / "mine.yaml", "lr: 3e-3", "lr: {float: [1e-3, 1e-2], log: true}")
    edit(folder / "mine.yaml", "method: grid", "method: random, candidates: 4")
    edit(folder / "their_net.py", "self.head(self.body(x))", "self.body(x)")
    done = gmsearch("run", "mine.yaml", "--engine", "serial")
    assert done.returncode == 2
    assert (
        "their_net of their_net.py:4: expected logits of shape (2, 3), got (2, 4)" in done.stderr
    )
    assert not (folder / "studies").exists()


FAILING = {
    "nan": ("return float('nan')", "expected a finite number, got nan"),
    "word": ("return 'high'", "expected a finite number, got 'high'"),
    "raises": (
        "return 1 / 0",
        "parts.py:20: ZeroDivisionError: division by zero",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_bad_metric_fails_its_trial(folder: Path, gmsearch: Run, case: str) -> None:
    """A metric that returns no finite number fails the trial as code, naming metric and file."""
    body, reason = FAILING[case]
    expected = f"metric confidence of parts.py:18: {reason}"
    edit(folder / "parts.py", "return logits.softmax(dim=1).max(dim=1).values.mean()", body)
    smallest(folder)
    done = gmsearch("run", "mine.yaml", "--engine", "serial")
    assert done.returncode == 1, done
    for trial in records(folder):
        assert (trial["state"], trial["failure"], trial["error"]) == ("FAILED", "code", expected)


def test_logits_that_are_not_finite_fail_their_trial(folder: Path, gmsearch: Run) -> None:
    """A network whose logits become NaN is a trial FAILED as diverged, and the others go on."""
    edit(
        folder / "their_net.py",
        "return self.head(self.body(x))",
        "y = self.head(self.body(x))\n        return y * float('nan') if self.training else y",
    )
    assert gmsearch("run", "mine.yaml", "--engine", "serial").returncode == 1
    ends = {(t["candidate"]["family"], t.get("failure")) for t in records(folder)}
    assert ends == {("their_net", "diverged"), ("gmnet", None), ("timm", None)}
