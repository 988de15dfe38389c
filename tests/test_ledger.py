"""The study folder under kills, damage, rivals and readers, with real processes."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from gmsearch import ledger as ledgers
from gmsearch.errors import InputError, StorageError, StudyError
from gmsearch.ledger import Ledger, Records, spool
from gmsearch.records import State, TimingRecord, TrialRecord, record_from_json


def trial(key: str = "k0", **changes: Any) -> dict[str, Any]:
    """Return a trial record as a worker spools it."""
    record: dict[str, Any] = {
        "record": "trial",
        "key": key,
        "state": "COMPLETE",
        "arm": "a0",
        "digest": "d0",
        "seed": 0,
        "params": {"gate.product": "self"},
        "candidate": {"family": "gmnet", "widths": [8, 16], "depths": [1, 1]},
        "recipe": {"epochs": 1},
        "metrics": {"top1": 1 / 3, "flops": 12345678901},
        "seconds": 0.25,
        "attempt": 1,
        "run": 1,
    }
    return record | changes


def a_trial() -> TrialRecord:
    """Return a trial record."""
    return TrialRecord.from_json(trial())


def study_name(folder: Path) -> str | None:
    """Return the name of the study that a folder holds."""
    study = ledgers.read_records(folder).study
    return None if study is None else study.study


def failed(key: str = "k0", attempt: int = 1, failure: str = "hang") -> dict[str, Any]:
    """Return the record of a trial that failed."""
    return trial(
        key, state="FAILED", metrics={}, attempt=attempt, failure=failure, error="no report"
    )


def opened(folder: Path) -> Ledger:
    """Open the ledger of a study named `s` of the space digest `x`."""
    return Ledger.open(folder, "s", "x")


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the raw lines of the ledger."""
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python code in another process, its output a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process as an out-of-memory killer does."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_new_study_and_round_trip(tmp_path: Path) -> None:
    """What is appended is what is read, number for number, behind a study line."""
    folder = tmp_path / "studies" / "s"
    run = {"record": "run", "run": 1, "packages": {"numpy": "2"}}
    ask = {"record": "ask", "number": 0, "params": {"a": 0.1}, "attributes": {"g": 0}}
    with opened(folder) as ledger:
        ledger.append(record_from_json(run))
        ledger.append(record_from_json(ask))
        ledger.append(record_from_json(trial()))
        infeasible = {"record": "infeasible", "number": 1, "violations": {"flops": 2.0}}
        ledger.append(record_from_json(infeasible))
        ledger.append(TimingRecord(key="t", metrics={"latency_ms": 1.5}))
        held = ledger.records

    records = ledgers.read_records(folder)

    assert records == held
    assert records.study is not None
    assert records.study.space == "x"
    assert records.study.schema == 1
    assert [record.to_json() for record in records.runs] == [run]
    assert [record.to_json() for record in records.asks] == [ask]
    assert records.trials == {"k0": record_from_json(trial())}
    assert len(records.infeasible) == len(records.timings) == 1
    assert records.space_path == folder / "space.yaml"
    assert [line["record"] for line in lines(folder)][:2] == ["study", "run"]


def test_another_space_is_for_the_caller_to_judge(tmp_path: Path) -> None:
    """A ledger of another space opens, and still names the space it began with."""
    opened(tmp_path).close()

    with Ledger.open(tmp_path, "s", "another") as ledger:
        assert ledger.records.study is not None
        assert ledger.records.study.space == "x"
    assert len(lines(tmp_path)) == 1


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """A ledger of another schema is neither read nor touched, and the message says by whom."""
    path = tmp_path / "trials.jsonl"
    path.write_text('{"record":"study","schema":2,"study":"s","gmsearch":"9.1"}\n')
    before = path.read_bytes()

    with pytest.raises(StudyError, match=r"trials\.jsonl:1: .*schema 2 by gmsearch 9\.1"):
        opened(tmp_path)
    with pytest.raises(StudyError, match="schema 2"):
        ledgers.read_records(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_torn_last_line(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    """A torn last line is dropped, said, and the next append does not glue to it."""
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(trial("k0")))
        ledger.append(record_from_json(trial("k1")))
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    complete = cut == 1  # only the newline is gone

    assert ("k1" in ledgers.read_records(tmp_path).trials) == complete
    with caplog.at_level(logging.WARNING), opened(tmp_path) as ledger:
        assert ("k1" in ledger.records.trials) == complete
        ledger.append(record_from_json(trial("k2")))

    assert ("torn last line" in caplog.text) == (not complete)
    keys = ["k0", "k1", "k2"] if complete else ["k0", "k2"]
    assert [line["key"] for line in lines(tmp_path)[1:]] == keys
    assert list(ledgers.read_records(tmp_path).trials) == keys


def test_torn_study_line(tmp_path: Path) -> None:
    """A ledger that holds nothing whole starts afresh."""
    (tmp_path / "trials.jsonl").write_text('{"record":"stu')

    with pytest.raises(StudyError, match="no study record"):
        ledgers.read_records(tmp_path)
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(trial()))
    assert study_name(tmp_path) == "s"


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"\x00\x00\x00",
        b"\xff\xfe",
        b"[1]",
        b"{}",
        b'{"record":"trial"}',
        b'{"record":"trial","key":"k","state":"WON"}',
        b'{"record":"trial","key":"k","attempt":"two"}',
        b'{"record":"ask","number":0,"params":{"a":NaN}}',
        b'{"record":"ask","number":0,"params":{"a":-Infinity}}',
        b'{"record":"ask","number":0,"params":{"a":1e999}}',
        b'{"record":"ask","number":%s,"params":{}}' % (b"1" * 5000),
        b'{"record":"ask","number":0,"params":%s}' % (b'{"a":' * 90_000 + b"1" + b"}" * 90_000),
        b'{"record":"ask","number":0,"params":{"a":%s}}' % (b"[" * 150 + b"]" * 150),
    ],
)
def test_damaged_middle_line(tmp_path: Path, damage: bytes) -> None:
    """A damaged line is an error that names file and line; nothing is dropped for it."""
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(trial("k0")))
        ledger.append(record_from_json(trial("k1")))
    path = tmp_path / "trials.jsonl"
    parts = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(parts[0] + damage + b"\n" + parts[2])
    before = path.read_bytes()

    for attempt in (opened, ledgers.read_records):
        with pytest.raises(StudyError, match=r"trials\.jsonl:2: damaged"):
            attempt(tmp_path)
    assert path.read_bytes() == before
    # The failed opening has not kept the lock.
    path.write_bytes(parts[0] + parts[2])
    opened(tmp_path).close()


def test_what_an_editor_leaves_is_harmless(tmp_path: Path) -> None:
    """Empty lines anywhere and a byte order mark change nothing that is read or appended."""
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(trial("k0")))
    path = tmp_path / "trials.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\xef\xbb\xbf" + first + b"\r\n\n" + second + b"  \n")
    assert list(ledgers.read_records(tmp_path).trials) == ["k0"]
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(trial("k1")))
    assert list(ledgers.read_records(tmp_path).trials) == ["k0", "k1"]


@pytest.mark.parametrize("left", [None, b"", b"\n", b'{"record":"stu'])
def test_a_lost_ledger_is_not_begun_anew(tmp_path: Path, left: bytes | None) -> None:
    """Where results of earlier runs lie, an empty or missing ledger is damaged."""
    opened(tmp_path).close()
    ledgers.write_history(tmp_path, "k0", {"epoch": [1], "split": "holdout"})
    path = tmp_path / "trials.jsonl"
    path.unlink() if left is None else path.write_bytes(left)
    with pytest.raises(
        StudyError, match=r"trials\.jsonl: damaged: it has no records, but .*history"
    ):
        opened(tmp_path)
    assert (path.read_bytes() if path.exists() else None) == left


def test_an_append_needs_the_file_at_its_path(tmp_path: Path) -> None:
    """A ledger that is removed or replaced while it is open takes no record in silence."""
    folder = tmp_path / "s"
    with opened(folder) as ledger:
        (folder / "trials.jsonl").rename(folder / "moved.jsonl")
        with pytest.raises(StorageError, match="removed or replaced"):
            ledger.append(record_from_json(trial("k0")))
        shutil.copy(folder / "moved.jsonl", folder / "trials.jsonl")
        with pytest.raises(StorageError, match="removed or replaced"):
            ledger.append(record_from_json(trial("k0")))
        shutil.rmtree(folder)
        with pytest.raises(StorageError, match="removed or replaced"):
            ledger.append(record_from_json(trial("k0")))
    with pytest.raises(StorageError, match="cannot be written"):
        spool(folder, record_from_json(trial("k0")))
    assert not folder.exists()


def test_leftovers_of_kills_are_removed(tmp_path: Path) -> None:
    """Temporary files go at the next start; nothing else does."""
    opened(tmp_path).close()
    for name in (".x.tmp", "spool/.k.json.0a.tmp", "weights/.k.safetensors.0a.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "weights" / "k.tmp").write_text("")
    (tmp_path / "trials.jsonl").touch()
    opened(tmp_path).close()
    assert [path.name for path in tmp_path.rglob("*.tmp")] == ["k.tmp"]


@pytest.mark.parametrize(
    "history",
    [
        '{"epoch":3,"split":"holdout"}',
        '{"epoch":["a"],"split":"holdout"}',
        "{}",
        "[]",
        "[" * 10**5,
    ],
)
def test_damaged_history(tmp_path: Path, history: str) -> None:
    """A history is columns of numbers, or damaged."""
    path = tmp_path / "history" / "k.json"
    path.parent.mkdir()
    path.write_text(history)
    with pytest.raises(StudyError, match=r"history/k\.json: damaged"):
        ledgers.read_history(tmp_path, "k")


@pytest.mark.parametrize("owner", ["3", "[]", "{}", '{"pid":"x","host":1}', "{", "[" * 10**5])
def test_an_owner_that_is_not_known(tmp_path: Path, owner: str) -> None:
    """Whatever the file of the owner holds, a rival is refused in one line."""
    with opened(tmp_path):
        (tmp_path / "owner.json").write_text(owner)
        with pytest.raises(StudyError, match="is being run by another process"):
            opened(tmp_path)


def test_records_of_tomorrow_are_read(tmp_path: Path) -> None:
    """Unknown fields and kinds of records of the same schema do no harm and are kept."""
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(trial(carbon={"kg": 0.1})))
        ledger.append(record_from_json({"record": "weather", "sun": True}))
        ledger.append(record_from_json({"record": "ask", "number": 0, "params": {}, "hint": 3}))

    records = ledgers.read_records(tmp_path)

    assert records.trials["k0"].state is State.COMPLETE
    assert records.asks[0].extra["hint"] == 3
    assert lines(tmp_path)[1]["carbon"] == {"kg": 0.1}


def test_last_attempt_counts(tmp_path: Path) -> None:
    """The last attempt counts; a repeated one counts once; nothing final is replaced by less."""
    with opened(tmp_path) as ledger:
        ledger.append(record_from_json(failed("k0", attempt=1)))
        ledger.append(record_from_json(failed("k0", attempt=2, failure="oom")))
        ledger.append(record_from_json(trial("k0", attempt=3)))
        ledger.append(record_from_json(trial("k0", attempt=3, seconds=99.0)))
        # Given up for lost, its worker finished after all, and then the second attempt failed.
        ledger.append(record_from_json(failed("k1", attempt=1)))
        ledger.append(record_from_json(trial("k1", attempt=1)))
        ledger.append(record_from_json(failed("k1", attempt=2)))

    for records in (ledger.records, ledgers.read_records(tmp_path)):
        assert (records.trials["k0"].attempt, records.trials["k0"].seconds) == (3, 0.25)
        assert records.trials["k1"].state is State.COMPLETE


def test_spool_is_taken_in_once(tmp_path: Path) -> None:
    """Spooled records are read at once, appended at the next chance, and gone from the spool."""
    with opened(tmp_path) as ledger:
        spool(tmp_path, record_from_json(trial("k0")))
        spool(tmp_path, TimingRecord(key="k0", metrics={"latency_ms": 1.0}))
        assert list(ledgers.read_records(tmp_path).trials) == ["k0"]
        assert list(ledger.records.trials) == []

        taken = ledger.take_spool()

        assert [record.kind for record in taken] == ["trial", "timing"]
        assert ledger.take_spool() == []
        assert list((tmp_path / "spool").iterdir()) == []
        spool(tmp_path, record_from_json(trial("k1")))
    with opened(tmp_path) as ledger:
        assert list(ledger.records.trials) == ["k0", "k1"]
        assert len(ledger.records.timings) == 1


def test_kill_between_append_and_unlink(tmp_path: Path) -> None:
    """A record that is in the ledger and still in the spool counts once."""
    spool(tmp_path, record_from_json(trial()))
    crash = start(
        """
        import os, pathlib, signal, sys
        from gmsearch.ledger import Ledger
        pathlib.Path.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        Ledger.open(pathlib.Path(sys.argv[1]), "s", "x")
        """,
        tmp_path,
    )
    crash.communicate()
    assert crash.returncode == -signal.SIGKILL
    assert len(lines(tmp_path)) == 2
    assert len(list((tmp_path / "spool").iterdir())) == 1

    assert list(ledgers.read_records(tmp_path).trials) == ["k0"]
    with opened(tmp_path) as ledger:
        assert list(ledger.records.trials) == ["k0"]
    assert len(lines(tmp_path)) == 2
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("content", ["{", '{"record":"trial","key":"k"}', "[" * 10**5])
def test_damaged_spool_file_is_set_aside(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays out of the ledger under a name that says so, and the rest of the study goes on."""
    opened(tmp_path).close()
    (tmp_path / "spool" / "k.json").write_text(content)
    spool(tmp_path, record_from_json(trial("k1")))
    with caplog.at_level(logging.WARNING):
        assert list(ledgers.read_records(tmp_path).trials) == ["k1"]
        assert re.search(r"spool/k\.json: damaged: .*; ignored", caplog.text)
        with opened(tmp_path) as ledger:
            assert list(ledger.records.trials) == ["k1"]
    assert "its trial runs again" in caplog.text
    (aside,) = (tmp_path / "spool").iterdir()
    assert re.fullmatch(r"k\.json\.[0-9a-f]+\.damaged", aside.name)
    assert aside.read_text() == content


def test_a_folder_in_the_spool_is_set_aside(tmp_path: Path) -> None:
    """So is a folder where a file should be."""
    opened(tmp_path).close()
    (tmp_path / "spool" / "k.json").mkdir()
    assert ledgers.read_records(tmp_path).trials == {}
    opened(tmp_path).close()
    (aside,) = (tmp_path / "spool").iterdir()
    assert aside.suffix == ".damaged"


def test_killed_workers_leave_whole_spool_files_or_none(tmp_path: Path) -> None:
    """Killed at any moment, a worker leaves records that parse; leftovers are passed over."""
    for delay in (0.0, 0.01, 0.02, 0.03):
        worker = start(
            """
            import pathlib, sys
            from gmsearch.ledger import spool
            from gmsearch.records import record_from_json
            print("ready", flush=True)
            for i in range(10**9):
                spool(pathlib.Path(sys.argv[1]), record_from_json(
                      {"record": "timing", "key": f"k{i % 7}", "attempt": i,
                       "metrics": {"latency_ms": 1.0}, "pad": "x" * 200_000}))
            """,
            tmp_path,
        )
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(0.1 + delay)
        kill(worker)

    with opened(tmp_path) as ledger:
        assert len(ledger.records.timings) >= 1


def test_refused_append_changes_nothing(tmp_path: Path) -> None:
    """What cannot be a record, or not finite, is refused before a byte is written."""
    with opened(tmp_path) as ledger:
        with pytest.raises(ValueError, match="not JSON compliant"):
            ledger.append(record_from_json(trial(metrics={"loss": float("nan")})))
        with pytest.raises(StudyError, match="record to append"):
            ledger.append(dataclasses.replace(a_trial(), state="WON"))
        assert len(lines(tmp_path)) == 1
        assert ledger.records.trials == {}


def test_full_disk(tmp_path: Path) -> None:
    """Where the storage takes half a line, the ledger keeps none of it and the error says so."""
    full = start(
        """
        import pathlib, resource, sys
        from gmsearch.errors import StudyError
        from gmsearch.ledger import Ledger
        from gmsearch.records import RunRecord
        folder = pathlib.Path(sys.argv[1])
        ledger = Ledger.open(folder, "s", "x")
        size = (folder / "trials.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
        try:
            ledger.append(RunRecord(run=1, extra={"command": ["gmsearch", "run"]}))
        except StudyError as error:
            print(error)
        assert (folder / "trials.jsonl").stat().st_size == size
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        ledger.append(RunRecord(run=2))
        """,
        tmp_path,
    )
    out, err = full.communicate()

    assert full.returncode == 0, err
    assert "File too large; give the folder write permission and free space" in out
    assert [run.run for run in ledgers.read_records(tmp_path).runs] == [2]


HOLD = """
import pathlib, sys
from gmsearch.ledger import Ledger
ledger = Ledger.open(pathlib.Path(sys.argv[1]), "s", "x")
print("held", flush=True)
sys.stdin.read()
"""


def test_second_run_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """A rival learns who runs the study; a SIGKILLed owner's lock is free at once."""
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"

    with pytest.raises(StudyError, match="is being run by") as refused:
        opened(tmp_path)
    assert f"process {owner.pid} on {socket.gethostname()}" in str(refused.value)
    assert study_name(tmp_path) == "s"

    kill(owner)
    opened(tmp_path).close()


def test_children_do_not_keep_the_lock(tmp_path: Path) -> None:
    """A forked child that outlives its killed parent does not hold the study."""
    parent = start(
        """
        import os, pathlib, sys, time
        from gmsearch.ledger import Ledger
        ledger = Ledger.open(pathlib.Path(sys.argv[1]), "s", "x")
        if os.fork() == 0:
            print(os.getpid(), flush=True)
        time.sleep(20)
        """,
        tmp_path,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        opened(tmp_path).close()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_same_process_is_a_rival_too(tmp_path: Path) -> None:
    """Opening twice in one process is refused; closing twice is not."""
    ledger = opened(tmp_path)
    with pytest.raises(StudyError, match=f"process {os.getpid()} "):
        opened(tmp_path)
    ledger.close()
    ledger.close()
    opened(tmp_path).close()


def test_unwritable_folder(tmp_path: Path) -> None:
    """A folder that cannot be made or written is one sentence with the remedy."""
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file / "s", Path("/proc/gmsearch/s")):
        with pytest.raises(StudyError, match=r"cannot be written: .*; give the folder"):
            opened(folder)
    with pytest.raises(StudyError, match="cannot be written"):
        spool(file, record_from_json(trial()))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "/a", ".a", "-rf", "a b", "a\n", "é", "x" * 101, None]
)
def test_names_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    """Names that would lead out of the folder, or need quoting, are refused before any write."""
    with pytest.raises(StudyError, match="cannot be a file name"):
        Ledger.open(tmp_path / "s", name, "x")
    with pytest.raises(StudyError, match="cannot be a file name"):
        spool(tmp_path / "s", record_from_json(trial(name)))
    with pytest.raises(StudyError, match="cannot be a file name"):
        ledgers.write_history(tmp_path / "s", name, {})
    with pytest.raises(StudyError, match="cannot be a file name"):
        ledgers.read_history(tmp_path / "s", name)
    assert not (tmp_path / "s").exists()


def test_readers_never_fail_while_a_driver_writes(tmp_path: Path) -> None:
    """Whole records only, and never fewer than before, whatever moment a reader picks."""
    opened(tmp_path).close()
    writer = start(
        """
        import pathlib, sys
        from gmsearch.ledger import Ledger, spool
        from gmsearch.records import record_from_json
        folder = pathlib.Path(sys.argv[1])
        body = {"state": "COMPLETE", "arm": "a", "digest": "d", "seed": 0, "params": {},
                "candidate": {"pad": "x" * 5000}, "recipe": {}, "metrics": {"top1": 0.5}}
        with Ledger.open(folder, "s", "x") as ledger:
            for i in range(0, 600, 2):
                ledger.append(record_from_json({"record": "trial", "key": f"k{i}", **body}))
                spool(folder, record_from_json(
                    {"record": "trial", "key": f"k{i + 1}", **body}))
                ledger.take_spool()
        """,
        tmp_path,
    )
    seen = [0]
    while writer.poll() is None:
        seen.append(len(ledgers.read_records(tmp_path).trials))
    _, err = writer.communicate()

    assert writer.returncode == 0, err
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert len(ledgers.read_records(tmp_path).trials) == 600


def test_kill_while_appending(tmp_path: Path) -> None:
    """After kills at any moment of writing, every acknowledged record is there, none twice."""
    acknowledged: list[str] = []
    for n in range(4):
        writer = start(
            """
            import pathlib, sys
            from gmsearch.ledger import Ledger
            from gmsearch.records import TimingRecord
            with Ledger.open(pathlib.Path(sys.argv[1]), "s", "x") as ledger:
                for i in range(10**9):
                    key = f"n{sys.argv[2]}i{i}"
                    ledger.append(TimingRecord(key=key, extra={"pad": "x" * 100_000}))
                    print(key, flush=True)
            """,
            tmp_path,
            n,
        )
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().strip())
        time.sleep(0.05 * n)
        writer.kill()
        acknowledged += writer.communicate()[0].split()

    with opened(tmp_path) as ledger:
        keys = [timing.key for timing in ledger.records.timings]
    assert set(acknowledged) <= set(keys)
    assert len(keys) == len(set(keys)) <= len(acknowledged) + 4


def test_histories(tmp_path: Path) -> None:
    """Curves come back as written; a missing one is None, a damaged one an error."""
    history = {"split": "holdout", "epoch": [1, 2], "low@10": [None, 0.5]}
    ledgers.write_history(tmp_path, "k0", history)

    assert ledgers.read_history(tmp_path, "k0") == history
    assert ledgers.read_history(tmp_path, "k1") is None
    (tmp_path / "history" / "k0.json").write_text("{")
    with pytest.raises(StudyError, match=r"k0\.json: damaged"):
        ledgers.read_history(tmp_path, "k0")
    assert [path.name for path in (tmp_path / "history").iterdir()] == ["k0.json"]


def test_newest_is_the_ledger_modified_last(tmp_path: Path) -> None:
    """The study run last is found by its ledger; without one the message says what to do."""
    with pytest.raises(InputError, match="gmsearch run"):
        ledgers.newest(tmp_path / "none")
    for n, name in enumerate(("b", "a", "c")):
        opened(tmp_path / name).close()
        os.utime(tmp_path / name / "trials.jsonl", (n, n))
    (tmp_path / "no_study").mkdir()

    assert ledgers.newest(tmp_path) == tmp_path / "c"
    with opened(tmp_path / "b") as ledger:
        ledger.append(record_from_json({"record": "run", "run": 1}))
    assert ledgers.newest(tmp_path) == tmp_path / "b"
    assert ledgers.studies(tmp_path) == [tmp_path / name for name in "abc"]


def test_missing_study(tmp_path: Path) -> None:
    """Reading a folder without a ledger is one sentence with the remedy."""
    with pytest.raises(StudyError, match="gmsearch list"):
        ledgers.read_records(tmp_path)


def test_large_ledger_is_a_stream(tmp_path: Path) -> None:
    """Memory while reading stays well under the size of the file: seeds share what is equal."""
    opened(tmp_path).close()
    n = 4000
    pad = {"widths": [16] * 200}
    with (tmp_path / "trials.jsonl").open("a") as file:
        for i in range(n):
            metrics = {f"high@{r}": i / n for r in range(20)}
            record = trial(f"k{i}", seed=i, candidate=pad, metrics=metrics)
            file.write(json.dumps(record) + "\n")
    size = (tmp_path / "trials.jsonl").stat().st_size
    assert size > 5_000_000

    ledgers.read_records(tmp_path)  # what is imported and cached once is not the ledger's
    tracemalloc.start()
    records: Records = ledgers.read_records(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(records.trials) == n
    assert records.trials["k0"].candidate is records.trials["k1"].candidate
    # Twenty floats and their dict, the record and its key: about 3 KB a trial, whatever the pad.
    assert peak < 0.6 * size + 4_000_000
