"""The faults, each a function that injects it into a running or a finished study.

A function yields what ended, to be judged: first under the fault, then, where the study is to go
on, after it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from study import STUDY, Ended, Run, change, command, mount

Fault = Callable[[], Iterator[Ended]]
FAULTS: dict[str, tuple[Fault, tuple[int, ...]]] = {}
"""Each fault by name, with the exit codes that are right under it."""

SHORT = ("--hang-seconds", "6")


def fault(name: str, *codes: int) -> Callable[[Fault], Fault]:
    """Enter a fault under a name."""

    def enter(inject: Fault) -> Fault:
        FAULTS[name] = inject, codes
        return inject

    return enter


def _resumed(*arguments: str) -> Ended:
    return command("run", "faulty.yaml", *arguments)


@fault("worker stopped (SIGSTOP)", 0)
def _worker_hangs() -> Iterator[Ended]:
    run = Run(*SHORT)
    run.worker().suspend()
    yield run.end()


@fault("worker killed in mid-trial", 0)
def _worker_killed() -> Iterator[Ended]:
    run = Run()
    run.wait_for(1)
    run.worker().kill()
    yield run.end()


@fault("worker killed while timing", 0)
def _worker_killed_timing() -> Iterator[Ended]:
    change("flops: minimize", "latency_ms: minimize")
    run = Run()
    run.wait_for_timing()
    run.worker().kill()
    yield run.end()


def _service(name: str) -> Iterator[Ended]:
    run = Run()
    run.wait_for(2)
    run.service(name).kill()
    yield run.end()
    yield _resumed()


FAULTS["raylet killed"] = (lambda: _service("raylet"), (1,))
FAULTS["GCS killed"] = (lambda: _service("gcs_server"), (1,))
FAULTS["dashboard agent killed"] = (lambda: _service("ray::DashboardAgent"), (0, 1))


def _read_only(engine: str) -> Iterator[Ended]:
    STUDY.parent.mkdir(exist_ok=True)
    run = Run("--engine", engine)
    run.wait_for(2)
    mount("mount", "--bind", "studies", "studies")
    mount("mount", "-o", "remount,bind,ro", "studies")
    try:
        yield run.end()
    finally:
        mount("umount", "-l", "studies")
    yield _resumed("--engine", engine)


FAULTS["folder read-only in mid-run, ray"] = (lambda: _read_only("ray"), (1,))
FAULTS["folder read-only in mid-run, serial"] = (lambda: _read_only("serial"), (1,))


def _full(engine: str, size: str) -> Iterator[Ended]:
    STUDY.parent.mkdir(exist_ok=True)
    mount("mount", "-t", "tmpfs", "-o", f"size={size}", "x", "studies")
    try:
        yield command("run", "faulty.yaml", "--engine", engine)
        mount("mount", "-o", "remount,size=64m", "studies")
        yield _resumed("--engine", engine)
    finally:
        kept = shutil.copytree(STUDY, "kept") if STUDY.exists() else None
        mount("umount", "-l", "studies")
        if kept is not None:
            shutil.move(kept, STUDY)


for _engine in ("serial", "ray"):
    for _size in ("60k", "160k"):
        FAULTS[f"disk full at {_size}, {_engine}"] = (
            lambda engine=_engine, size=_size: _full(engine, size),
            (1,),
        )


def _interrupted(number: signal.Signals, delay: float, times: int, engine: str) -> Iterator[Ended]:
    run = Run("--engine", engine)
    time.sleep(delay)
    for _ in range(times):
        run.signal(number)
        time.sleep(0.1)
    yield run.end()
    yield _resumed("--engine", engine)


for _delay in (0.4, 1.5, 4.0):
    FAULTS[f"SIGINT after {_delay} s, serial"] = (
        lambda delay=_delay: _interrupted(signal.SIGINT, delay, 1, "serial"),
        (130,),
    )
FAULTS["SIGTERM after 1.0 s, ray"] = (
    lambda: _interrupted(signal.SIGTERM, 1.0, 1, "ray"),
    (130,),
)
FAULTS["Ctrl-C five times in half a second, ray"] = (
    lambda: _interrupted(signal.SIGINT, 8.0, 5, "ray"),
    (130,),
)


@fault("driver killed (SIGKILL), three times", -9)
def _driver_killed() -> Iterator[Ended]:
    for trials in (1, 3, 5):
        run = Run()
        run.wait_for(trials)
        run.signal(signal.SIGKILL)
        yield run.end()
    yield _resumed()


@fault("driver stopped for 20 s", 0)
def _driver_stopped() -> Iterator[Ended]:
    run = Run(*SHORT)
    run.wait_for(1)
    run.signal(signal.SIGSTOP)
    time.sleep(20)
    run.signal(signal.SIGCONT)
    yield run.end()


def _removed(path: Path) -> Iterator[Ended]:
    run = Run("--engine", "serial")
    run.wait_for(2)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    yield run.end()
    shutil.rmtree(STUDY, ignore_errors=True)
    yield _resumed("--engine", "serial")


FAULTS["ledger deleted in mid-run"] = (lambda: _removed(STUDY / "trials.jsonl"), (1,))
FAULTS["study folder deleted in mid-run"] = (lambda: _removed(STUDY), (1,))


def _damaged(damage: Callable[[bytes], bytes]) -> Iterator[Ended]:
    _finished()
    ledger = STUDY / "trials.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(damage(whole))
    for words in (("list",), ("show", "faulty"), ("report", "faulty"), ("run", "faulty.yaml")):
        ended = command(*words)
        if words != ("list",):
            yield ended
        elif ended.code != 0 or "Traceback" in ended.output:
            raise AssertionError(ended.output)
    ledger.write_bytes(whole)
    yield _resumed("--engine", "serial")


def _finished() -> None:
    ended = command("run", "faulty.yaml", "--engine", "serial")
    assert ended.code == 0, ended.output


def _last_line(text: bytes, line: bytes) -> bytes:
    return text + line + b"\n" + text.splitlines(keepends=True)[-1]


FAULTS |= {
    "ledger: nested JSON": (lambda: _damaged(lambda t: _last_line(t, b"[" * 99_999)), (2,)),
    "ledger: Infinity": (
        lambda: _damaged(lambda t: t.replace(b'"top1":', b'"top1":Infinity,"x":', 1)),
        (2,),
    ),
    "ledger: a number of 5,000 digits": (
        lambda: _damaged(lambda t: t.replace(b'"top1":', b'"top1":' + b"9" * 5000 + b',"x":', 1)),
        (2,),
    ),
    "ledger: emptied": (lambda: _damaged(lambda _: b""), (2,)),
    "ledger: first line lost": (
        lambda: _damaged(lambda t: b"".join(t.splitlines(keepends=True)[1:])),
        (2,),
    ),
    "ledger: empty lines and a BOM": (
        lambda: _damaged(lambda t: b"\xef\xbb\xbf" + t.replace(b"\n", b"\n\n", 3)),
        (0,),
    ),
}


@fault("a damaged spool file, and a folder in its place", 0)
def _damaged_spool() -> Iterator[Ended]:
    run = Run("--engine", "serial")
    run.wait_for(3)
    run.signal(signal.SIGKILL)
    run.end()
    spool = STUDY / "spool"
    (spool / "0123456789abcdef.json").write_text("{", encoding="utf-8")
    (spool / "fedcba9876543210.json").mkdir()
    yield _resumed("--engine", "serial")


@fault("history with a number where a list should be", 2)
def _damaged_history() -> Iterator[Ended]:
    _finished()
    history = next((STUDY / "history").iterdir())
    whole = history.read_bytes()
    tree = json.loads(whole)
    history.write_text(json.dumps(dict.fromkeys(tree, 1)), encoding="utf-8")
    yield command("report", "faulty")
    history.write_bytes(whole)
    yield _resumed("--engine", "serial")


@fault("owner.json of another shape, seen by a rival", 2)
def _odd_owner() -> Iterator[Ended]:
    run = Run("--engine", "serial")
    run.wait_for(1)
    (STUDY / "owner.json").write_text("[1]", encoding="utf-8")
    yield command("run", "faulty.yaml", "--engine", "serial")
    run.end()
    yield _resumed("--engine", "serial")


@fault("stray .tmp files", 0)
def _strays() -> Iterator[Ended]:
    _finished()
    left = [STUDY / name / ".x.json.0a.tmp" for name in ("spool", "history", "weights")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x", encoding="utf-8")
        os.utime(path, (1, 1))
    change("seeds: [0, 1]", "seeds: [0, 1, 2]")
    yield _resumed("--engine", "serial")
    change("seeds: [0, 1, 2]", "seeds: [0, 1]")
    assert not any(path.exists() for path in left)


def _checked(old: str, new: str) -> Iterator[Ended]:
    """Check a space that is refused, or remarked on with the memory that it would take."""
    change(old, new)
    ended = command("check", "faulty.yaml", limit=60)
    assert ended.code == 2 or "GB" in ended.output, ended.output
    yield ended
    change(new, old)
    yield _resumed("--engine", "serial")


_HUGE = ", ".join("{int: [1, 1000000]}" for _ in range(10))
FAULTS |= {
    "space: a grid of 10^60 points": (
        lambda: _checked(
            "widths: [4, 8]\n  depths: [1, 1]", f"widths: [{_HUGE}]\n  depths: [{_HUGE}]"
        ),
        (0, 2),
    ),
    "space: resolution 10^9": (lambda: _checked("resolution: 32", "resolution: 1000000000"), (2,)),
    "space: 10^12 images": (
        lambda: _checked("train_images: 60", "train_images: 1000000000000"),
        (2,),
    ),
    "space: a width of 10^9": (
        lambda: _checked("widths: [4, 8]", "widths: [4, 1000000000]"),
        (2,),
    ),
    "space: a depth of 10^9": (
        lambda: _checked("depths: [1, 1]", "depths: [1, 1000000000]"),
        (2,),
    ),
    "space: a kernel of 10^9": (
        lambda: _checked("kernel_size: 3", "kernel_size: 1000000001"),
        (0, 2),
    ),
}


@fault("RAY_ADDRESS set to nothing that answers", 0)
def _ray_address() -> Iterator[Ended]:
    yield command("run", "faulty.yaml", RAY_ADDRESS="10.255.255.1:6379")


@fault("TPE without a feasible arm", 0)
def _infeasible() -> Iterator[Ended]:
    change("method: grid", "method: tpe, candidates: 4")
    change("flops: minimize}", "flops: minimize}\nconstraints: {flops: {max: 1}}")
    change("baseline: {gate.product: none, gate.activation: relu6}\n", "")
    yield command("run", "faulty.yaml", "--engine", "serial")
    for old, new in (
        ("method: tpe, candidates: 4", "method: grid"),
        ("\nconstraints: {flops: {max: 1}}", ""),
    ):
        change(old, new)
    change("data: ", "baseline: {gate.product: none, gate.activation: relu6}\ndata: ")
    shutil.rmtree(STUDY)
    yield _resumed("--engine", "serial")


@fault("escape sequences in a study's texts", 0)
def _escapes() -> Iterator[Ended]:
    change("data: ", 'about: "\\e]0;owned\\a\\e[31mred"\ndata: ')
    for words in (("run", "faulty.yaml"), ("list",), ("show", "faulty"), ("report", "faulty")):
        ended = command(*words)
        assert "\x1b" not in ended.output, words
        assert "\x07" not in ended.output, words
        yield ended


@fault("resources.cpus changed between two starts", 0)
def _threads_changed() -> Iterator[Ended]:
    change("seeds: [0, 1]", "seeds: [0]\nresources: {cpus: 1}")
    yield command("run", "faulty.yaml", "--engine", "serial")
    change("seeds: [0]\nresources: {cpus: 1}", "seeds: [0, 1]\nresources: {cpus: 2}")
    ended = _resumed("--engine", "serial")
    assert "resources.cpus 1 (now 2)" in ended.output
    yield ended
    assert "not made alike" in command("report", "faulty").output


def _parquet(labels: list[int], names: object) -> Iterator[Ended]:
    Path("images").mkdir()
    pixels = np.zeros((8, 8, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "png")
    image = {"bytes": encoded.getvalue(), "path": None}
    table = pa.table({"image": [image] * len(labels), "label": labels})
    features = {"features": {"image": {"_type": "Image"}, "label": names}}
    header = {b"huggingface": json.dumps({"info": features}).encode()}
    for split in ("train", "validation"):
        pq.write_table(table.replace_schema_metadata(header), f"images/{split}.parquet")
    old = "{name: spectral, resolution: 32, classes: 3, train_images: 60, evaluation_images: 30}"
    new = "{name: parquet, root: images, resolution: 8}"
    change(old, new)
    change("radii: [4]", "radii: [2]")
    yield command("check", "faulty.yaml", limit=60)
    change(new, old)
    change("radii: [2]", "radii: [4]")
    yield _resumed("--engine", "serial")


FAULTS |= {
    "Parquet: a label of 10^18": (
        lambda: _parquet([0, 1, 0, 10**18], {"_type": "Value", "dtype": "int64"}),
        (2,),
    ),
    "Parquet: class names of another shape": (
        lambda: _parquet([0, 1, 0, 1], {"_type": "ClassLabel", "names": {"a": 1}}),
        (2,),
    ),
}


@fault("an object array where the cache keeps pixels", 0)
def _damaged_cache() -> Iterator[Ended]:
    Path("photos").mkdir()
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            Path("photos", split, name).mkdir(parents=True)
            for number in range(8):
                pixels = generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(f"photos/{split}/{name}/{number}.png")
    old = "{name: spectral, resolution: 32, classes: 3, train_images: 60, evaluation_images: 30}"
    change(old, "{name: folder, root: photos, resolution: 16}")
    cache = {"GMSEARCH_CACHE": str(Path("cache").absolute())}
    yield command("check", "faulty.yaml", **cache)
    (pixels_file,) = Path("cache").rglob("train_images.npy")
    np.save(pixels_file, np.array([{"a": 1}] * 16, dtype=object), allow_pickle=True)
    yield command("run", "faulty.yaml", "--engine", "serial", **cache)
