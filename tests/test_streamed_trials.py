"""Trials on streamed images: measured as those in memory, repeatable, failures with a name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gmsearch import runner
from gmsearch.data import load
from gmsearch.experiment import (
    Arm,
    Bands,
    DataSpec,
    FolderImages,
    Plan,
    RemeasurePlan,
    TrialPlan,
    plan_from,
    recipe_from,
)
from gmsearch.networks import candidate_from

VERSIONS = ("raw", "nodc", "low@4", "high@4", "band@2:6")
PIXELS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder of two classes of images of 24 pixels a side."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 12), ("val", 6)):
        for name in ("cat", "dog"):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                array = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
                Image.fromarray(array).save(folder / f"{i}.png")
    return tmp_path / "images"


def plan_on(data: DataSpec, folder: Path, **recipe: Any) -> TrialPlan:
    """Return the plan of a tiny trial on the images, with the official recipe's augmentation."""
    folder.mkdir()
    values = {
        "recipe": "gmnet_imagenet",
        "epochs": 3,
        "cooldown_epochs": 0,
        "warmup_epochs": 0,
        "batch_size": 8,
        **recipe,
    }
    if not data.streamed:
        values["auto_augment"] = None
    return TrialPlan(
        key="k",
        arm=Arm(
            candidate=candidate_from({"widths": [4, 8], "depths": [1, 1], "kernel_size": 3}),
            recipe=recipe_from(values),
        ),
        params={},
        seed=0,
        data=data,
        data_identity=load(data).identity,
        bands=Bands(radii=(4.0,), bn="reestimate"),
        device="cpu",
        threads=1,
        study_dir=str(folder),
    )


def stream_of(root: Path) -> FolderImages:
    """Return the images as a stream, cropped as in memory."""
    return FolderImages(
        root=str(root), resolution=24, stream=True, holdout=0.3, crop_pct=1, **PIXELS
    )  # type: ignore[arg-type]


def run(plan: Plan, epochs: int = 99) -> dict[str, Any]:
    """Run a plan to its end, or as far as some epochs; return the record."""
    work = runner.run(plan)
    for _ in range(epochs):
        try:
            next(work)
        except StopIteration as end:
            record: dict[str, Any] = end.value.to_json()
            return record
    work.close()
    return {}


def test_a_trial_comes_again(root: Path, tmp_path: Path) -> None:
    """Twice the same plan, once as text: the same metrics and weights, bit for bit."""
    records = [
        run(plan_from(json.loads(json.dumps(plan_on(stream_of(root), tmp_path / name).to_json()))))
        for name in ("one", "other")
    ]

    assert records[0]["state"] == "COMPLETE"
    assert records[0]["metrics"] == records[1]["metrics"]
    assert (tmp_path / "one/weights/k.safetensors").read_bytes() == (
        tmp_path / "other/weights/k.safetensors"
    ).read_bytes()
    assert {"top1", "high@4", "holdout.top1", "chance"} <= set(records[0]["metrics"])


def test_a_trial_continues(root: Path, tmp_path: Path) -> None:
    """Stopped after its second epoch and begun again it ends as one that was left alone."""
    whole = run(plan_on(stream_of(root), tmp_path / "whole", checkpoint_every=1))
    plan = plan_on(stream_of(root), tmp_path / "stopped", checkpoint_every=1)
    run(plan, epochs=2)
    continued = run(plan)

    assert continued["training"]["continued_from"] == [2]
    assert continued["metrics"] == whole["metrics"]
    assert (tmp_path / "whole/weights/k.safetensors").read_bytes() == (
        tmp_path / "stopped/weights/k.safetensors"
    ).read_bytes()


def test_scores_are_those_in_memory(root: Path, tmp_path: Path) -> None:
    """One set of weights scores the same on evaluation images from memory and from a stream."""
    spec = FolderImages(root=str(root), holdout=0.3)
    whole = load(spec)
    like = dataclasses.replace(stream_of(root), mean=whole.mean, std=whole.std)
    trained = plan_on(spec, tmp_path / "memory")
    bands = Bands(radii=(4.0,), ranges=((2.0, 6.0),), every=0)
    trained = dataclasses.replace(trained, bands=bands)
    record = run(trained)
    folder = tmp_path / "memory"
    plan = RemeasurePlan(
        key=trained.key,
        arm=trained.arm,
        params=trained.params,
        seed=trained.seed,
        data=like,
        data_identity=load(like).identity,
        bands=bands,
        device=trained.device,
        threads=trained.threads,
        study_dir=trained.study_dir,
        split="evaluation",
        wanted=VERSIONS,
    )
    again = run(plan)

    assert record["state"] == "COMPLETE"
    assert again.get("error") is None
    predictions = [
        np.load(folder / "weights" / f"k{name}.predictions.npz")
        for name in ("", f".{plan.request}")
    ]
    for version in VERSIONS:
        assert (predictions[0][version] == predictions[1][version]).all()
    for name, value in again["metrics"].items():
        assert record["metrics"][name] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_corrupt_image_fails_the_trial_and_is_named(
    root: Path, tmp_path: Path, split: str
) -> None:
    """The set is opened all the same, and the record says which file it was."""
    path = root / split / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    record = run(plan_on(stream_of(root), tmp_path / "study"))

    assert (record["state"], record["failure"]) == ("FAILED", "infrastructure")
    assert f"{split}/dog/1.png cannot be decoded" in record["error"]
    assert "\n" not in record["error"]


def test_images_that_changed_meanwhile(root: Path, tmp_path: Path) -> None:
    """Files that came, went or changed their size since the study began are told."""
    plan = plan_on(stream_of(root), tmp_path / "study")
    (root / "train" / "dog" / "1.png").unlink()
    record = run(plan)

    assert record["state"] == "FAILED"
    assert "changed since the study began" in record["error"]
