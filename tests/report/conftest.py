"""A study written by hand: a ledger, a space and histories, with numbers like those of runs."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from gmsearch import ledger
from gmsearch.plain import plain
from gmsearch.records import State, TrialRecord, record_from_json
from gmsearch.report import write_report
from gmsearch.report.collect import collect
from gmsearch.report.facts import StudyFacts
from gmsearch.space import Space
from gmsearch.spacefile import load_space

GRID = """\
study: gates
about: Does the product or the activation carry the high frequencies?
model:
  family: gmnet
  stem_width: 16
  widths: [16, 32, 64]
  depths: [1, 2, 1]
  gate:
    product: {choice: [none, self]}
    activation: {choice: [identity, relu, relu6, gelu]}
baseline: {gate.product: none, gate.activation: relu6}
forbid:
  - {gate.product: none, gate.activation: identity}
data: {name: spectral, resolution: 32}
train: {epochs: 8}
bands: {radii: [4, 10]}
objectives: {top1: maximize, high@10: maximize, flops: minimize, latency_ms: minimize}
search: {method: grid, seeds: 8}
"""

# Means in the order of the grid without the forbidden arm: raw, high@10, latency.
MEANS = (
    (0.702, 0.301, 1.10),
    (0.706, 0.308, 1.08),
    (0.711, 0.304, 1.35),
    (0.671, 0.331, 1.02),
    (0.698, 0.352, 1.15),
    (0.694, 0.343, 1.17),
    (0.689, 0.322, 1.41),
)


@dataclasses.dataclass(frozen=True)
class Study:
    """A study folder that tests fill and report on."""

    folder: Path
    space: Space

    @property
    def facts(self) -> StudyFacts:
        """Return its facts."""
        return collect(ledger.Study(self.folder, self.space, ledger.read_records(self.folder)))

    def add(self, *records: Mapping[str, Any]) -> None:
        """Append lines to its ledger."""
        with ledger.Ledger.open(self.folder, "gates", "0" * 16) as opened:
            opened.append(*map(record_from_json, records))

    def add_trial(
        self,
        params: str | Mapping[str, Any],
        seed: int,
        metrics: Mapping[str, float] | None = None,
        **more: Any,
    ) -> None:
        """Append a trial of the arm `none relu` or the like; COMPLETE unless said otherwise."""
        self.add(trial(self.space, named(params), seed, metrics, **more))

    def add_timing(self, params: str, latency: float, **more: Any) -> None:
        """Append a timing, its interval 2 % to either side."""
        self.add({**timing(self.space, named(params), latency), **more})

    def add_infeasible(self, params: str, *metrics: str) -> None:
        """Append an arm that breaks the bounds of some metrics before training."""
        arm = self.space.arm(self.space.assignment(named(params)))
        record = {"record": "infeasible", "number": 0, "arm": arm.digest, "params": named(params)}
        record |= {"digest": arm.candidate.digest, "metrics": {}}
        self.add({**record, "violations": dict.fromkeys(metrics, 10.0)})

    def report(self, *flags: str, width: int = 100) -> tuple[str, dict[str, Path]]:
        """Return what is printed, and the files by name."""
        text = io.StringIO()
        console = Console(file=text, width=width, force_terminal=False)
        files = write_report(self.folder, self.folder / "out", console=console, flags=flags)
        return text.getvalue(), {path.name: path for path in files}


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Return a function that makes a study whose space is the usual one with texts replaced."""

    def make(*changes: tuple[str, str]) -> Study:
        text = GRID
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "gates"
        folder.mkdir()
        (folder / "space.yaml").write_text(text, encoding="utf-8")
        study = Study(folder, load_space(folder / "space.yaml"))
        study.add()
        return study

    return make


@pytest.fixture
def fill() -> Callable[..., Study]:
    """Return a function that gives a study all its trials, timings and histories."""

    def filled(study: Study, seeds: int = 8, *, histories: bool = False) -> Study:
        study.add(*study_records(study.space, seeds))
        for key, trial in ledger.read_records(study.folder).trials.items() if histories else ():
            history = _history(np.random.default_rng(trial.seed), trial.metrics)
            ledger.write_history(study.folder, key, history)
        return study

    return filled


@pytest.fixture
def full_study(make_study: Callable[..., Study], fill: Callable[..., Study]) -> Study:
    """Return a study of seven arms and eight seeds, all measured and timed."""
    return fill(make_study())


def named(params: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of `none relu`: product and activation."""
    if not isinstance(params, str):
        return params
    product, activation = params.split()
    return {"gate.product": product, "gate.activation": activation}


def trial(
    space: Space,
    params: Mapping[str, Any],
    seed: int,
    metrics: Mapping[str, float] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return the record of one trial of an arm of the space."""
    arm = space.arm(space.assignment(params))
    record = TrialRecord(
        key=f"{arm.digest}-{seed}",
        state=State.FAILED if "failure" in more else State.COMPLETE,
        arm=arm.digest,
        digest=arm.candidate.digest,
        seed=seed,
        params=params,
        candidate=plain(arm.candidate),
        recipe=plain(arm.recipe),
        metrics=metrics or {},
    )
    return dataclasses.replace(record, **more).to_json()


def timing(space: Space, params: Mapping[str, Any], latency: float) -> dict[str, Any]:
    """Return the record of one timing with an interval of 2 % to either side."""
    candidate = space.arm(space.assignment(params)).candidate
    return {
        "record": "timing",
        "key": f"t-{candidate.digest}",
        "digest": candidate.digest,
        "device": "cpu",
        "metrics": {
            "latency_ms": latency,
            "latency_ms.low": 0.98 * latency,
            "latency_ms.high": 1.02 * latency,
            "latency_ratio": latency / 9,
            "reference_ms": 9.0,
        },
        "protocol": {
            "batch_size": 1,
            "resolution": 32,
            "mode": "eager",
            "dtype": "float32",
            "memory_format": "channels_last",
            "folded_batch_norms": 12,
            "threads": 1,
            "device": "Imagined CPU",
        },
        "disturbed": False,
        "run": 1,
        "attempt": 1,
    }


def study_records(space: Space, seeds: int) -> list[dict[str, Any]]:
    """Return the records of a whole study."""
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 0.006, (seeds, 2))
    told = {"resolution": 32, "evaluation": 1024, "holdout": 410}
    records: list[dict[str, Any]] = [{"record": "run", "run": 1, "images": told}]
    for number, (assignment, arm) in enumerate(space.arms()):
        params = dict(assignment)
        top1, high, latency = MEANS[number % len(MEANS)]
        cost = 812_000 + (2_048 if params.get("gate.product") == "self" else 0)
        records += [
            {"record": "ask", "number": number, "params": params, "arm": arm.digest},
            timing(space, params, latency),
        ]
        for seed in range(seeds):
            own = rng.normal(0, (0.004, 0.012))
            raw, fine = np.array([top1, high]) + shared[seed] + own
            metrics = _metrics(float(raw), float(fine), cost)
            records.append(trial(space, params, seed, metrics))
    return records


def _metrics(raw: float, fine: float, cost: int) -> dict[str, float]:
    on_split = {
        "top1": raw,
        "top5": raw + 0.2,
        "loss": 1 - raw / 2,
        "nodc": raw - 0.3,
        "low@4": raw - 0.35,
        "high@4": fine + 0.12,
        "low@10": raw - 0.08,
        "high@10": fine,
    }
    bands = ("nodc", "low@4", "high@4", "low@10", "high@10")
    majority = {f"majority.{name}": 0.2 + (0.3 - fine) / 2 for name in bands}
    held = {f"holdout.{name}": value - 0.01 for name, value in on_split.items()}
    return {
        **on_split,
        **majority,
        **held,
        "majority.raw": 0.13,
        "chance": 0.1,
        "params": 61_178,
        "flops": cost,
        "elementwise_ops": 90_112,
        "activation_elements": 45_056,
        "share_below_0": 0.5,
        "share_above_6": 0.0,
    }


def _history(rng: np.random.Generator, metrics: Mapping[str, float]) -> dict[str, Any]:
    epochs = np.arange(1, 9)
    history: dict[str, Any] = {"split": "holdout", "epoch": epochs.tolist()}
    history["train_loss"] = (0.8 + 1.5 * np.exp(-epochs / 3)).tolist()
    history["lr"] = [3e-3] * 8
    for name in ("top1", "low@4", "high@4", "low@10", "high@10"):
        rise = 0.1 + (metrics[name] - 0.1) * (1 - np.exp(-epochs / 2.5))
        history[name] = (rise + rng.normal(0, 0.006, 8)).tolist()
    return history
