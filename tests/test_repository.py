"""What the README promises: its commands, its example, the spaces it lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gmsearch.spacefile import load_space

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPACES = sorted((ROOT / "spaces").glob("*.yaml"))


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    """The command a newcomer is told to run is the one that is checked."""
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_readmes_space_file_loads(tmp_path: Path) -> None:
    """The example is a space without a mistake."""
    found = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found is not None
    path = tmp_path / "example.yaml"
    path.write_text(found.group(1), encoding="utf-8")
    assert load_space(path).count() == 4


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_space_loads_and_is_in_the_readme(path: Path, tmp_path: Path) -> None:
    """Every shipped space is without a mistake, named after its file, and listed."""
    assert load_space(path, data_root=tmp_path).study == path.stem
    assert f"`spaces/{path.name}`" in README


@pytest.mark.parametrize("name", ["gate_ablation", "imagenette32_gate"])
def test_the_ablations_have_enough_seeds_to_decide(name: str, tmp_path: Path) -> None:
    """Under Holm over all comparisons, the smallest p an exact test can give is below 0.05."""
    space = load_space(ROOT / "spaces" / f"{name}.yaml", data_root=tmp_path)
    comparisons = sum(1 for _ in space.arms()) - 1
    assert comparisons * 2 / 2 ** len(space.search.seeds) < 0.05
