"""The measuring core needs the packages that `gmsearch.__doc__` lists, and no others."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import gmsearch
from gmsearch.environment import without_tf32_advice

ROOT = Path(gmsearch.__file__).parent
CORE = ("networks", "experiment", "models", "data", "evaluate", "train", "bands", "latency")
LISTED = tuple(re.findall(r"^    ([a-z-]+) {2,}", gmsearch.__doc__ or "", flags=re.MULTILINE))
SOMETIMES = ("pyarrow", "nvidia-ml-py")

IMPORT_ALL = """
import importlib, pkgutil, sys

class Without:
    # A finder that does not find the blocked packages.
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        blocked = name.partition(".")[0] in {blocked!r}
        return None if blocked else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]

for part in {core!r}:
    module = importlib.import_module(f"gmsearch.{{part}}")
    for child in pkgutil.walk_packages(getattr(module, "__path__", ()), f"gmsearch.{{part}}."):
        if child.name not in {left_out!r}:
            importlib.import_module(child.name)
"""


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(names: tuple[str, ...]) -> set[str]:
    """Return distributions with all that they depend on, extras left out."""
    known: set[str] = set()
    waiting = [_normalised(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [
            _normalised(re.split(r"[^A-Za-z0-9._-]", requirement)[0])
            for requirement in requirements
            if "extra ==" not in requirement
        ]
    return known


def _modules_without(allowed: set[str]) -> set[str]:
    """Return the top-level modules of all other distributions that are installed."""
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if not {_normalised(owner) for owner in owners} & {*allowed, "gmsearch"}
        and module.isidentifier()
        and module not in sys.stdlib_module_names
    }


def test_the_core_imports_with_its_packages_alone() -> None:
    """Every module of it, while every package that is not listed as always needed is blocked."""
    allowed = _closure(tuple(name for name in LISTED if name not in SOMETIMES))
    code = IMPORT_ALL.format(
        blocked=_modules_without(allowed),
        core=CORE,
        left_out=tuple(f"gmsearch.data.{name}" for name in ("columns", "parquet", "rows")),
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def _imported(path: Path) -> Iterator[str]:
    """Yield the top-level modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_the_list_is_what_the_core_imports() -> None:
    """No package is missing from it, and none is listed without use."""
    files = [
        path
        for part in CORE
        for path in [*(ROOT / part).rglob("*.py"), ROOT / f"{part}.py"]
        if path.is_file()
    ]
    names = {name for path in files for name in _imported(path)} - sys.stdlib_module_names
    owners = metadata.packages_distributions()
    used = {_normalised(owners[name][0]) for name in names - {"gmsearch", "pynvml"}}
    if "pynvml" in names:  # a module of several distributions
        used.add("nvidia-ml-py")
    assert used == set(LISTED)
    assert importlib.util.find_spec("gmsearch.networks") is not None


def test_only_the_advice_to_enable_tf32_is_hidden() -> None:
    """Other warnings of a compilation still reach the user, as errors do here."""
    advice = (
        "TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled. "
        "Consider setting `torch.set_float32_matmul_precision('high')` for better performance."
    )
    with without_tf32_advice():
        warnings.warn(advice, stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    with pytest.raises(UserWarning, match="TensorFloat32"):
        warnings.warn(advice, stacklevel=1)
