"""What loading a space costs: no torch, and little more than its own two packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "timm", "ray", "optuna", "pandas", "matplotlib", "numpy", "scipy", "rich")
PROGRAM = """
import sys
from pathlib import Path
from gmsearch.spacefile import json_schema, load_space

space = load_space(Path(sys.argv[1]))
json_schema()
space.count(), list(space.arms()), space.digest
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_space_is_loaded_counted_and_sampled_without_torch(tmp_path: Path, example: str) -> None:
    """A fresh interpreter that loads, counts and enumerates a space has no heavy package."""
    path = tmp_path / "space.yaml"
    path.write_text(example, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = done.stdout.split()
    assert not set(HEAVY) & set(loaded)
    assert {"pydantic", "ruamel"} <= set(loaded)
