"""`gmsearch profile` as a user meets it: tables, files, exit codes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_studies import edit

from gmsearch.cli.profile_text import Profile, ProfiledNetwork, print_profile
from gmsearch.display import MISSING
from gmsearch.experiment import TimingCondition
from gmsearch.latency import Timing
from gmsearch.networks import candidate_from, cost

TINY = ["mobilenetv3_small_050", "--resolution", "32", "--classes", "10"]


Run = Callable[..., Any]
"""Fixture that runs the command line in this process."""


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_number_is_cut_off(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a terminal of any width every number is there, beside the published ones."""
    candidate = candidate_from({"preset": "gmnet_s1"})
    counted = cost(candidate, num_classes=1000, resolution=224)
    network = ProfiledNetwork(name="gmnet_s1", candidate=candidate, cost=counted)
    for name, value in {"TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    print_profile(
        Profile(networks=[network], resolution=224, classes=1000, conditions=[]), by_kind=True
    )
    text = capsys.readouterr().out
    assert "…" not in text
    assert "inferred" in text
    assert "latency" not in text
    for number in (f"{counted.params:,}", f"{counted.flops:,}", "3.73M", "3.7M, 0.6G †"):
        assert number in text


def a_timing(condition: TimingCondition, reference_ms: float) -> Timing:
    """Return a timing of one millisecond."""
    return Timing(
        condition=condition,
        latency_ms=1.0,
        low=0.9,
        high=1.1,
        throughput_ips=1e3 * condition.batch_size,
        peak_memory_mb=None,
        reference_ms=reference_ms,
        ratio=1 / reference_ms,
        drift=0.0,
        foreign_load=0.0,
        foreign_gpu_share=None,
        machine={},
        blocks_ms=(),
        reference_blocks_ms=(),
        protocol={
            "device": "a device",
            "threads": 1,
            "memory_format": "channels_last",
            "repeats": 6,
            "blocks": 5,
            "reference": "another",
        },
    )


def test_what_fails_under_one_condition_keeps_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A network that one condition is too much for has its other numbers, and its reason.

    The reference is told of each condition by itself.
    """
    candidate = candidate_from({"preset": "gmnet_s1"})
    conditions = [TimingCondition(), TimingCondition(batch_size=64)]
    networks = [ProfiledNetwork(name=name, candidate=candidate) for name in ("whole", "part")]
    networks[0].timings = {c: a_timing(c, 2.0 * c.batch_size) for c in conditions}
    networks[1].timings = {conditions[0]: a_timing(conditions[0], 2.0)}
    networks[1].error = "@b64: too large"
    print_profile(
        Profile(networks=networks, resolution=32, classes=10, conditions=conditions), by_kind=False
    )
    text = capsys.readouterr().out
    assert "part failed: @b64: too large" in text
    assert "(median 2 ms; 128 ms)" in " ".join(text.split())
    rows_of_part = [line.split() for line in text.splitlines() if line.startswith("part ")]
    assert ["part", *[MISSING] * 4] in rows_of_part


def test_a_space_is_profiled_with_a_name_beside_it_and_written_down(
    gmsearch: Run, tiny_space: Path
) -> None:
    """Candidates of a space once each at its own size; CSV and JSON hold all, unrounded."""
    one = ("activation: {choice: [relu6, gelu]}", "activation: relu6")
    edit(tiny_space, one, (", gate.activation: relu6", ""))
    names = ("tiny.yaml", "tiny.yaml", "mobilenetv3_small_050")
    done = gmsearch("profile", *names, "--csv", "a.csv", "--json", "a.json")
    assert done.returncode == 0, done.stderr
    assert "At 32 px and 3 classes" in done.stdout
    with Path("a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tree = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert [row["network"] for row in rows] == [network["network"] for network in tree["networks"]]
    assert len({row["network"] for row in rows}) == len(rows) == 3
    for row, network in zip(rows, tree["networks"], strict=True):
        metrics = network["metrics"]
        low, middle, high = (
            float(row[name]) for name in ("latency_ms.low", "latency_ms", "latency_ms.high")
        )
        assert low <= middle <= high
        assert middle == metrics["latency_ms"]
        assert int(row["params"]) == sum(k["params"] for k in network["by_kind"].values())
        assert len(network["timings"][0]["blocks_ms"]) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenetv3_smal_100"], "did you mean mobilenetv3_small_100"),
        (["none.yaml"], "none.yaml"),
        ([*TINY, "--mode", "graph", "--device", "cpu"], "needs a GPU"),
        ([*TINY, "--csv", "no/such/folder.csv"], "there is no folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    gmsearch: Run,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unknown names with near misses, devices and modes that are not here: no traceback."""
    monkeypatch.chdir(tmp_path)
    done = gmsearch("profile", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_network_that_fails_is_a_row_with_the_reason(gmsearch: Run) -> None:
    """One that does not take the resolution leaves the others their numbers; exit code 1."""
    done = gmsearch("profile", "efficientformer_l1", *TINY, "--no-timing")
    assert done.returncode == 1
    assert "efficientformer_l1 failed:" in done.stdout
    failed, counted = (line.split() for line in done.stdout.splitlines()[1:3])
    assert failed == ["efficientformer_l1", *[MISSING] * 3]
    assert counted[0] == "mobilenetv3_small_050"
    assert MISSING not in counted
