"""The examples of docs/plugins.md, each used as its line `In a space:` says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from gmsearch.bands import evaluate_bands, named_metrics
from gmsearch.costs import Task, counted, require_buildable
from gmsearch.data import load
from gmsearch.models import build
from gmsearch.networks import is_counted
from gmsearch.plugins.modules import metric_functions
from gmsearch.space import Space
from gmsearch.spacefile import load_space

TEXT = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_A_SPACE = re.compile(r"^In a space: `(.*)`\.$", re.MULTILINE)
BASE: dict[str, Any] = {
    "study": "example",
    "plugins": sorted({name for name, _ in BLOCK.findall(TEXT) if name.startswith("my_")}),
    "model": {"family": "gmnet", "stem_width": 4, "widths": [4], "depths": [1], "kernel_size": 3},
    "data": {"name": "spectral", "classes": 3, "train_images": 40, "evaluation_images": 20},
    "bands": {"radii": [8], "every": 0},
    "objectives": {"top1": "maximize"},
    "search": {"method": "grid", "seeds": [0]},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with the files of the document and some photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(12):
        photo = Image.new("RGB", (48, 36), 3 * (20 * number,))
        photo.save(tmp_path / "photos" / f"{('cat', 'dog')[number // 6]}_{number:02}.png")
    for name, text in BLOCK.findall(TEXT):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(text)
    return tmp_path


def spaces(folder: Path) -> list[Space]:
    """Return a space for every line `In a space:`, its keys put into a small one."""
    yaml, loaded = YAML(typ="safe"), []
    for number, line in enumerate(IN_A_SPACE.findall(TEXT)):
        keys = yaml.load(line)
        if "gate" in keys:
            keys = {"model": {**BASE["model"], **keys}}
        path = folder / f"space_{number}.yaml"
        with path.open("w", encoding="utf-8") as file:
            yaml.dump({**BASE, **keys}, file)
        loaded.append(load_space(path))
    return loaded


def test_every_example_is_short() -> None:
    """A part is registered in at most twenty lines."""
    for name, text in BLOCK.findall(TEXT):
        if name.startswith("my_"):
            assert len(text.splitlines()) <= 20, name


def test_every_example_is_used(folder: Path) -> None:
    """Every example loads, builds, is counted, evaluated and read as data."""
    examples = spaces(folder)
    assert len(examples) == 7
    task = Task(classes=3, resolution=32)
    families, measured = set(), 0
    for space in examples:
        for _, arm in space.arms():
            require_buildable(arm.candidate, task)
            cost, _ = counted(arm.candidate, task)
            measured += not is_counted(arm.candidate)
            logits = build(arm.candidate, num_classes=3, seed=0)(torch.rand(2, 3, 32, 32))
            assert logits.shape == (2, 3)
            assert cost.params > 0
            families.add(arm.candidate.family)
    assert families == {"gmnet", "their_net", "patches"}
    assert measured
    assert {o.metric for space in examples for o in space.objectives} == {
        "top1",
        "ece",
        "ece.high@8",
    }
    photos = load(examples[-1].data)
    assert photos.classes == ("cat", "dog")
    assert photos.evaluation.labels.tolist() == 3 * [0] + 3 * [1]
    data = load(examples[-2].data)
    assert data.classes == ("plain", "striped")
    scores = evaluate_bands(
        build(next(examples[0].arms())[1].candidate, num_classes=2, seed=0),
        torch.from_numpy(data.evaluation.images[:40]),  # type: ignore[union-attr] # in memory
        torch.from_numpy(data.evaluation.labels[:40]),
        bands=examples[0].bands,
        mean=data.mean,
        std=data.std,
        device="cpu",
        extra=metric_functions(examples[0].plugins),
    )
    values = named_metrics(scores)
    assert 0 <= values["ece"] <= 1
    assert 0 <= values["ece.high@8"] <= 1


def test_a_stated_cost_is_the_measured_one(folder: Path) -> None:
    """The costs that the examples state are those that running the networks gives."""
    from gmsearch.measured_cost import measured_cost

    _, product, *_ = spaces(folder)
    for _, arm in product.arms():
        assert is_counted(arm.candidate)
        stated, _ = counted(arm.candidate, Task(classes=3, resolution=32))
        run, _ = measured_cost(build(arm.candidate, num_classes=3, seed=0), 32)
        assert (stated.params, stated.flops) == (run.params, run.flops)
