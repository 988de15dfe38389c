"""Plugins of a study folder: read without being executed, executed only as they were kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmsearch import plugins
from gmsearch.errors import FieldError, PluginError
from gmsearch.models import build
from gmsearch.networks import ACTIVATIONS, candidate_from
from gmsearch.plain import plain

Write = Callable[..., Path]

TEXT = """
from typing import Literal
print("executed", file=__import__("sys").stderr)
@activation("swish_t", steps=2)
def swish_t(h):
    return h * torch.sigmoid(1.5 * h)

@product("dilated")
def dilated(channels: int, kernel_size: int):
    return nn.Identity()

@metric("spread", better="lower")
def spread(logits, labels):
    return logits.std()

@family("net")
class Net(nn.Module):
    def __init__(self, num_classes: int, widths: list[int], rate: float = 0.5,
                 kind: Literal["a", "b"] = "a", side: int | None = None):
        super().__init__()
        self.head = nn.Linear(3, num_classes)
    def forward(self, x):
        return self.head(x.mean((2, 3)))
"""
NETWORKS: list[dict[str, Any]] = [
    {"family": "net", "widths": [3, 4]},
    {"family": "net", "widths": 8, "rate": 1, "kind": "b", "side": 2},
    {"widths": [4], "depths": [1], "gate": {"activation": "swish_t", "product": "self"}},
    {"widths": [4], "depths": [1], "gate": {"product": "dilated", "kernel_size": 5}},
]


@pytest.fixture
def study(plugin: Write, tmp_path: Path) -> Path:
    """Return a study folder that keeps a plugin; its parts are not in the tables."""
    path = plugin(TEXT)
    folder = tmp_path / "study"
    for name, content in plugins.kept_files(plugins.load([path.name], path.parent)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    path.unlink()
    plugins.unload()
    return folder


def _plan(folder: Path) -> dict[str, Any]:
    files = [plain(plugin.file) for plugin in plugins.read_declared(folder)]
    return {"plugins": files, "study_dir": str(folder)}


def test_a_declared_plugin_gives_the_same_candidates(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without execution, candidates are checked, canonical and have the digests they had."""
    capsys.readouterr()
    plugins.declare(study)
    declared = [candidate_from(tree) for tree in NETWORKS]
    for tree in ({"family": "net"}, {**NETWORKS[0], "kind": "c"}, {**NETWORKS[0], "more": 1}):
        with pytest.raises(FieldError):
            candidate_from(tree)
    assert capsys.readouterr().err == ""
    plugins.load_kept(study)
    executed = [candidate_from(tree) for tree in NETWORKS]
    assert [plain(c) for c in declared] == [plain(c) for c in executed]
    assert [c.digest for c in declared] == [c.digest for c in executed]


def test_a_declared_part_cannot_be_used(study: Path) -> None:
    """What was not executed says so when a network is built of it."""
    plugins.declare(study)
    with pytest.raises(PluginError, match=r"^mine\.py was not executed$"):
        build(candidate_from(NETWORKS[0]), num_classes=2, seed=0)


def test_an_executed_part_stays_when_its_study_is_read(study: Path) -> None:
    """Reading a study's frozen space leaves the parts of the running plugin executable."""
    plugins.load_kept(study)
    plugins.declare(study)
    assert build(candidate_from(NETWORKS[0]), num_classes=2, seed=0)


def test_a_worker_executes_the_copy_once(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker loads the plugins of a plan from the study's folder, once a process."""
    capsys.readouterr()
    for _ in range(2):
        plugins.load_for_plan(_plan(study))
        assert build(candidate_from(NETWORKS[2]), num_classes=2, seed=0)
    assert capsys.readouterr().err == "executed\n"


def test_a_worker_refuses_another_file(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy with another digest is not executed; the plan fails and names the file."""
    path = study / "plugins" / "mine.py"
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    capsys.readouterr()
    plugins.load_for_plan(_plan(study))
    with pytest.raises(PluginError) as caught:
        build(candidate_from(NETWORKS[2]), num_classes=2, seed=0)
    assert str(caught.value) == (
        f"mine.py is not executed here: {path}: is not the file that the study began with; "
        "restore it"
    )
    assert capsys.readouterr().err == ""


def test_a_worker_refuses_another_study_s_file(study: Path) -> None:
    """A study whose copies and declaration differ from what the plan asks for is refused."""
    tree = _plan(study)
    tree["plugins"][0]["sha256"] = "0" * 64
    plugins.load_for_plan(tree)
    with pytest.raises(PluginError, match=r"is not the mine\.py \(SHA-256 0{16}\) that the study"):
        build(candidate_from(NETWORKS[2]), num_classes=2, seed=0)


DAMAGE = {
    "text": ("[", "{", "damaged"),
    "depth": ("[", 99_999 * "[", "nested more than 100 levels deep"),
    "reference": ('"mine.py"', '"../mine.py"', "damaged"),
    "files": ('"mine.py": "', '"/etc/mine.py": "', "damaged"),
    "type": ('"literal"', '"eval"', "damaged"),
    "kind": ('"metric"', '"module"', "damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_declaration_is_one_line(study: Path, case: str) -> None:
    """A declaration that is not what was written is named; nothing of it leaves the folder."""
    old, new, expected = DAMAGE[case]
    path = study / plugins.DECLARED
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PluginError, match=expected) as caught:
        plugins.declare(study)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert "swish_t" not in ACTIVATIONS


def test_a_missing_declaration_is_one_line(study: Path) -> None:
    """A study folder without its declaration says which file to restore."""
    (study / plugins.DECLARED).unlink()
    with pytest.raises(PluginError, match=r"plugins\.json is missing; restore it"):
        plugins.declare(study)


def test_the_declaration_is_plain_json(study: Path) -> None:
    """What a study keeps of its plugins can be read by any program."""
    (tree,) = json.loads((study / plugins.DECLARED).read_text(encoding="utf-8"))
    assert tree["reference"] == "mine.py"
    assert [part["name"] for part in tree["parts"]] == ["swish_t", "dilated", "spread", "net"]
    assert "gmsearch_plugin_study" not in sys.modules
