"""Measuring finished trials again: the same numbers, no training, nothing twice, nothing lost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_studies import Log

from gmsearch import ledger, runner
from gmsearch.cli.measure import measure_study
from gmsearch.driver import Driver, Remeasurer, open_study
from gmsearch.driver.preflight import inspect_run
from gmsearch.engines import serial
from gmsearch.errors import InputError, StudyError
from gmsearch.experiment import Bands, RemeasurePlan
from gmsearch.ledger import STUDIES, Records, read_records
from gmsearch.spacefile import load_space

Study = Callable[..., Records]


@pytest.fixture
def study(tiny_space: Path) -> Study:
    """Return a function that runs a study of two arms with the given bands to its end."""

    def make(name: str, bands: str, log: Log | None = None) -> Records:
        text = tiny_space.read_text(encoding="utf-8").split("study: tiny\n")[-1]
        text = text.replace("bands: {radii: [4]}", f"bands: {bands}")
        text = text.replace("activation: {choice: [relu6, gelu]}", "activation: relu6")
        text = text.replace(", gate.activation: relu6}", "}").replace("[0, 1]}", "[0]}")
        path = Path(f"{name}.yaml")
        path.write_text(f"study: {name}\n{text}", encoding="utf-8")
        run(path, log or Log())
        return read_records(STUDIES / name)

    return make


def run(path: Path, log: Log) -> Driver:
    """Run a space to its end, serially."""
    space = load_space(path)
    with open_study(space, inspect_run(space, path), log, engine="serial") as driver:
        serial.run(driver)
        return driver


def measure(name: str, *, split: str = "evaluation", **options: str | None) -> int:
    """Call what `gmsearch measure` calls."""
    radii, ranges = options.pop("radii", None), options.pop("ranges", None)
    return measure_study(
        name, radii=radii, ranges=ranges, options=options, split=split, data_root=None
    )


def shown(name: str, bands: Bands | None = None) -> list[dict[str, float]]:
    """Return the metrics of the trials of a study, in the order of their keys."""
    records = read_records(STUDIES / name)
    bands = load_space(STUDIES / name / "space.yaml").bands if bands is None else bands
    return [dict(records.metrics(records.trials[key], bands)) for key in sorted(records.trials)]


def lines(name: str, record: str = "measure") -> list[dict[str, Any]]:
    """Return the lines of one kind of a ledger."""
    text = (STUDIES / name / "trials.jsonl").read_text(encoding="utf-8")
    return [tree for tree in map(json.loads, text.splitlines()) if tree["record"] == record]


def test_measured_later_is_measured_alike(study: Study) -> None:
    """Bands added to finished trials are bit for bit those of a study that had them at once."""
    study("now", "{radii: [4, 6], ranges: [[4, 10]]}")
    study("later", "{radii: [4]}")
    assert measure("later", radii="6", ranges="4:10") == 0
    assert measure("later", radii="6", ranges="4:10", split="holdout") == 0

    assert shown("later") == shown("now")
    assert "majority.holdout.band@4:10" not in shown("now")[0]
    assert "holdout.majority.band@4:10" in shown("later")[0]


def test_measuring_what_is_there_gives_the_same_bits(study: Study) -> None:
    """The kept weights give every number of the trial again, and every prediction."""
    records = study("one", "{radii: [4], ranges: [[4, 8]]}")
    space = load_space(STUDIES / "one" / "space.yaml")
    context = inspect_run(space, Path("one.yaml"))
    trial = next(iter(records.trials.values()))
    stripped = dataclasses.replace(trial, metrics={})
    bands = dataclasses.replace(space.bands, radii=(4.0,))
    (plan,) = Remeasurer(space, context, records, records.folder).plans(
        [stripped], bands, ["evaluation"], run=1
    )
    for _ in runner.run(plan):
        pass
    ((_, record),) = ledger.reader.read_spool(records.folder)

    assert set(record["metrics"]) == {
        *("low@4", "high@4", "band@4:8"),
        *("majority.low@4", "majority.high@4", "majority.band@4:8"),
    }
    assert record["metrics"].items() <= dict(trial.metrics).items()
    folder = records.folder / "weights"
    before = np.load(folder / f"{trial.key}.predictions.npz")
    after = np.load(folder / f"{trial.key}.{plan.request}.predictions.npz")
    assert set(after.files) == set(plan.wanted)
    assert all(np.array_equal(after[name], before[name]) for name in after.files)
    assert after["low@4"].dtype == np.uint8


def test_the_same_request_twice_does_nothing(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger has the same bytes; a request for more measures only the difference."""
    study("twice", "{radii: [4]}")
    assert measure("twice", radii="4") == 0
    assert lines("twice") == []
    assert measure("twice", radii="4,6") == 0
    before = (STUDIES / "twice" / "trials.jsonl").read_bytes()
    capsys.readouterr()
    assert measure("twice", radii="6,4") == 0
    assert "nothing to do" in capsys.readouterr().err
    assert (STUDIES / "twice" / "trials.jsonl").read_bytes() == before
    assert measure("twice", radii="6,8") == 0

    assert [set(record["metrics"]) for record in lines("twice")][2:] == [
        {"low@8", "high@8", "majority.low@8", "majority.high@8"}
    ] * 2


def test_another_protocol_stands_under_its_name(study: Study) -> None:
    """What a number depends on stands behind it; what it does not depend on is not measured."""
    study("protocols", "{radii: [4]}")
    own = shown("protocols")[0]
    assert measure("protocols", dc="drop") == 0
    assert measure("protocols", bn="reestimate", edge="le", split="holdout") == 0
    later = shown("protocols")[0]

    assert own.items() <= later.items()
    changed = "[edge=le,bn=reestimate]"
    assert set(later) - set(own) == {
        *("high@4[dc=drop]", "majority.high@4[dc=drop]"),
        *(f"holdout.{name}{changed}" for name in ("low@4", "high@4")),
        *(f"holdout.majority.{name}{changed}" for name in ("low@4", "high@4")),
        *("holdout.nodc[bn=reestimate]", "holdout.majority.nodc[bn=reestimate]"),
    }
    assert lines("protocols")[0]["protocol"] == Bands(dc="drop").protocol


def test_the_names_follow_the_bands_of_the_study(study: Study) -> None:
    """Seen from bands with another protocol, it is the trial's own numbers that are named."""
    study("turned", "{radii: [4]}")
    assert measure("turned", dc="drop") == 0
    (first, second) = (shown("turned")[0], shown("turned", Bands(radii=(4.0,), dc="drop"))[0])

    assert second["high@4"] == first["high@4[dc=drop]"]
    assert second["high@4[dc=dataset_mean]"] == first["high@4"]
    assert second["low@4"] == first["low@4"]


def test_a_killed_measure_goes_on(study: Study) -> None:
    """What a killed process left in the spool is taken in, and only the rest is measured."""
    records = study("killed", "{radii: [4]}")
    space = load_space(STUDIES / "killed" / "space.yaml")
    context = inspect_run(space, Path("killed.yaml"))
    bands = dataclasses.replace(space.bands, radii=(6.0,))
    measures = Remeasurer(space, context, records, records.folder)
    first, _ = measures.plans(records.trials.values(), bands, ["evaluation"], run=2)
    for _ in runner.run(first):
        pass
    spooled = list((STUDIES / "killed" / "spool").glob("measure-*.json"))
    assert len(spooled) == 1
    assert "high@6" in {name for metrics in shown("killed") for name in metrics}
    assert measure("killed", radii="6") == 0

    assert [record["key"] for record in lines("killed")] == list(records.trials)
    assert [record["run"] for record in lines("killed")] == [2, 2]
    assert not list((STUDIES / "killed" / "spool").iterdir())


def test_a_study_that_runs_is_not_measured(study: Study) -> None:
    """Its lock is respected, and its owner named."""
    records = study("locked", "{radii: [4]}")
    with (
        ledger.Ledger.open(records.folder, "locked", "0" * 16),
        pytest.raises(StudyError, match="is being run by process"),
    ):
        measure("locked", radii="6")


def test_weights_that_are_gone_are_named(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    """The other trials are measured; a damaged file is named, and a restored one serves."""
    records = study("gone", "{radii: [4]}")
    first = ledger.weights(records.folder, next(iter(records.trials)))
    kept = first.read_bytes()
    first.unlink()
    assert measure("gone", radii="6") == 1
    told = capsys.readouterr().err
    assert f"its weights are missing: {first.resolve()}; restore the file" in told
    assert "1 trials measured" in told
    first.write_bytes(kept[:100])
    assert measure("gone", radii="6") == 1
    assert "not the weights of this trial" in capsys.readouterr().err
    first.write_bytes(kept)
    assert measure("gone", radii="6") == 0

    assert [record.get("failure") for record in lines("gone")] == [None, "code", None]
    assert [record["attempt"] for record in lines("gone")] == [1, 1, 2]


def test_weights_of_another_trial_are_refused(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same shapes they would load; the digest in the record tells them apart."""
    records = study("mixed", "{radii: [4]}")
    first, second = (ledger.weights(records.folder, key) for key in records.trials)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert measure("mixed", radii="6") == 1
    assert "not the weights of this trial: other bytes than it left" in capsys.readouterr().err
    first.write_bytes(kept)
    assert measure("mixed", radii="6") == 0

    assert [record.get("failure") for record in lines("mixed")] == ["code", None, None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"radii": "60"}, "--radii: 60 leaves a version without a frequency"),
        ({"radii": "four"}, "--radii: expected numbers such as 6,12, got 'four'"),
        ({"ranges": "4"}, "--ranges: expected ranges such as 4:10, got '4'"),
        ({"ranges": "4:x"}, "--ranges: expected ranges such as 4:10, got '4:x'"),
        ({"radii": ","}, "no bands to measure"),
        ({"radii": "6,8,6"}, "--radii.2: 6 is listed twice; remove one"),
        ({"ranges": "4:8,4:8.0000001"}, "--ranges.1: 4-8 is listed twice; remove one"),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    study: Study, options: dict[str, str], words: str
) -> None:
    """Before anything is written, with the remedy."""
    study("refused", "{radii: [4]}")
    before = (STUDIES / "refused" / "trials.jsonl").read_bytes()
    with pytest.raises(InputError, match=words):
        measure("refused", **options)
    assert (STUDIES / "refused" / "trials.jsonl").read_bytes() == before


def test_a_run_with_other_bands_trains_nothing(study: Study) -> None:
    """Finished trials are measured for what is missing, on both splits, as if always asked."""
    study("fresh", "{radii: [4, 6], dc: drop}")
    study("changed", "{radii: [4]}")
    log = Log()
    study("changed", "{radii: [4, 6], dc: drop}", log)

    assert [plan.kind for plan in log.plans] == ["measure"] * 4
    assert [plan.split for plan in log.plans if isinstance(plan, RemeasurePlan)] == [
        "evaluation"
    ] * 2 + ["holdout"] * 2
    again = Log()
    study("changed", "{radii: [4, 6], dc: drop}", again)
    assert again.plans == []
    fresh, changed = shown("fresh"), shown("changed")
    for one, other in zip(fresh, changed, strict=True):
        assert one.items() <= other.items()
        assert set(other) - set(one) == {
            f"{split}{name}high@4[dc=dataset_mean]"
            for split in ("", "holdout.")
            for name in ("", "majority.")
        }


def test_a_run_with_other_bands_names_what_it_cannot_measure(study: Study) -> None:
    """A trial whose weights are gone is not trained again; it is told, with the remedy."""
    records = study("gone", "{radii: [4]}")
    lost = ledger.weights(records.folder, next(iter(records.trials)))
    lost.unlink()
    path = Path("gone.yaml")
    path.write_text(path.read_text().replace("radii: [4]", "radii: [4, 6]"), encoding="utf-8")
    log = Log()
    driver = run(path, log)

    assert {plan.kind for plan in log.plans} == {"measure"}
    assert {plan.key for plan in log.plans} == set(list(records.trials)[1:])
    assert driver.remark is not None
    assert str(lost.resolve()) in driver.remark
    assert "restore the files" in driver.remark


def test_a_run_measures_again_what_failed_before(study: Study) -> None:
    """Weights that were damaged at one start and restored at the next one are measured then."""
    records = study("restored", "{radii: [4]}")
    damaged = ledger.weights(records.folder, next(iter(records.trials)))
    kept = damaged.read_bytes()
    damaged.write_bytes(kept[:100])
    path = Path("restored.yaml")
    path.write_text(path.read_text().replace("radii: [4]", "radii: [4, 6]"), encoding="utf-8")
    driver = run(path, Log())
    assert driver.unmeasured == 1
    assert str(damaged.resolve()) in str(driver.remark)
    assert [record.get("failure") for record in lines("restored")].count("code") == 1
    damaged.write_bytes(kept)
    log = Log()
    study("restored", "{radii: [4, 6]}", log)

    assert {plan.key for plan in log.plans} == {next(iter(records.trials))}
    assert all("high@6" in metrics for metrics in shown("restored"))
