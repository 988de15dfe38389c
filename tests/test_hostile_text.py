"""Text of others steers no terminal, whichever command prints it."""

from __future__ import annotations

import json
import logging
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from terminals import run_in_terminal

from gmsearch import plugins
from gmsearch.printable import visible, visible_lines
from gmsearch.report.render.latex import latex
from gmsearch.report.render.markdown import markdown
from gmsearch.report.tables import Cell, TextTable

EVIL = "evil\x1b[31;7m\x1b]0;owned\x07\x9b2J\rover\x08\u202eabc\u2066\u2028x\nforged: line\tz"
SHOWN = visible(EVIL)
NAME = "e\x1b[31;7m\u202e\nvil"
BIDIRECTIONAL = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """Log as a new process would: pytest has handlers, and with them nothing is printed."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    root.handlers = []
    yield
    root.handlers = handlers
    plugins.unload()


def steering(text: str) -> set[str]:
    """Return the characters of a text that could steer a terminal or forge an order."""
    return {
        c
        for c in text
        if c != "\n"
        and (unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") or c in BIDIRECTIONAL)
    }


def tampered(folder: Path) -> str:
    """Put hostile text into all that the folder of a study says; return the key of its trial."""
    space = folder / "space.yaml"
    space.write_text(f"about: {json.dumps(EVIL)}\n" + space.read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    run = next(line for line in lines if line["record"] == "run")
    run |= {"host": EVIL, "engine": EVIL}
    trial = next(line for line in lines if line["record"] == "trial")
    ending = {"state": "FAILED", "failure": "code", "error": EVIL, "metrics": {}}
    trial |= {**ending, "device_name": EVIL}
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "trials.jsonl").write_text(text, encoding="utf-8")
    return str(trial["key"])


@pytest.fixture
def hostile(finished: Path) -> str:
    """Return the key of a failed trial in a folder of hostile studies and space files."""
    key = tampered(Path("studies/tiny"))
    shutil.copytree("studies/tiny", Path("studies") / NAME)
    (Path("studies") / f"damaged{NAME}").mkdir()
    (Path("studies") / f"damaged{NAME}" / "trials.jsonl").write_text('{"record": "e\x1b[0m"}\n')
    text = finished.read_text(encoding="utf-8")
    Path(f"{NAME}.yaml").write_text(f"about: {json.dumps(EVIL)}\n{text}", encoding="utf-8")
    label = {
        f"gate{NAME}": {"product": "none", "activation": "relu6"},
        "other": {"product": "self"},
    }
    nested = f"gate: {{choice: {json.dumps(label)}}}\n"
    named = text.replace("study: tiny", "study: named").partition("baseline:")
    before = named[0].partition("  gate:")[0] + f"  {nested}"
    Path("labels.yaml").write_text(before + "data" + named[2].partition("data")[2])
    Path("keys.yaml").write_text(f"{json.dumps(EVIL)}: 1\n{text}", encoding="utf-8")
    Path(f"p{NAME}.py").write_text(f"raise RuntimeError({EVIL!r})\n", encoding="utf-8")
    Path("plugin.yaml").write_text(f"plugins: [{json.dumps(f'p{NAME}.py')}]\n{text}")
    for split in ("train", "val"):
        folder = Path("images", split, f"class{NAME}")
        folder.mkdir(parents=True)
        (folder / f"no image{NAME}.jpg").write_bytes(b"none")
    images = "data: {name: folder, root: images, resolution: 32}\ntrain:"
    images = text.partition("data:")[0] + images + text.partition("train:")[2]
    Path("images.yaml").write_text(images, encoding="utf-8")
    return key


COMMANDS = [
    ["list"],
    ["show", "tiny"],
    ["show", "tiny", "KEY"],
    ["show", "tiny", NAME],
    ["show", NAME],
    ["report", "tiny"],
    ["report", f"no{NAME}"],
    ["report", NAME, "--pareto", "--out", f"out{NAME}"],
    ["check", f"{NAME}.yaml"],
    ["check", f"no{NAME}.yaml"],
    ["check", "labels.yaml"],
    ["check", "keys.yaml"],
    ["check", "plugin.yaml"],
    ["check", "images.yaml"],
    ["run", f"{NAME}.yaml", "--engine", "serial"],
    ["run", f"no{NAME}.yaml"],
    ["run", "images.yaml", "--engine", "serial"],
    ["run", "plugin.yaml", "--engine", "serial"],
    ["measure", "tiny", "--radii", EVIL],
    ["measure", NAME],
    ["profile", f"{NAME}.yaml", "--no-timing"],
    ["profile", NAME, "--no-timing"],
    ["profile", "labels.yaml", "--no-timing"],
    ["run", f"{NAME}.yaml", f"--{EVIL}"],
    [EVIL],
]


def test_no_command_lets_text_of_others_steer(
    hostile: str, gmsearch: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """In studies, space files, names of files, options and classes, errors, and arguments."""
    said = ""
    for command in COMMANDS:
        done = gmsearch(*(hostile if word == "KEY" else word for word in command))
        assert steering(done.stdout + done.stderr) == set(), command
        lines = (done.stdout + done.stderr).splitlines()
        assert not [line for line in lines if line.startswith("forged")], command
        said += done.stdout + done.stderr
    assert steering("".join(capfd.readouterr())) == set()
    assert SHOWN in said  # not merely left out
    for page in [*Path("reports/tiny").glob("*.md"), *Path("reports/tiny").glob("*.tex")]:
        assert steering(page.read_text(encoding="utf-8")) == set(), page


PLUGIN = f"""\
import logging, sys
from gmsearch.plugins import activation

print({EVIL!r})

@activation("loud", steps=1)
def loud(h):
    print({EVIL!r}, file=sys.stderr)
    logging.getLogger("mine").warning({EVIL!r})
    if h.requires_grad:
        raise RuntimeError({EVIL!r})
    return h
"""


@pytest.mark.slow
def test_what_a_plugin_says_steers_no_terminal(tiny_space: Path) -> None:
    """What it prints, logs and raises is shown, above the bars of a terminal too."""
    Path("loud.py").write_text(PLUGIN, encoding="utf-8")
    text = tiny_space.read_text(encoding="utf-8").replace("gelu", "loud")
    tiny_space.write_text(f"about: {json.dumps(EVIL)}\nplugins: [loud.py]\n{text}")
    raw, _ = run_in_terminal("run", "tiny.yaml", "--engine", "serial")
    assert "FAILED (code) " in raw
    assert "evil\\x1b[31;7m" in raw
    # What is left is our own: colours, and moves of the cursor above what is drawn.
    own = re.sub(r"\x1b\[(?:[0-9;]*m|[0-9]*A|2K|\?25[lh])|\r\n|\r(?=\x1b\[2K)", "", raw)
    assert steering(own) == set()
    assert "\x1b[31;7m" not in raw
    assert steering(Path("studies/tiny/run.log").read_text(encoding="utf-8")) == set()


@given(st.text())
def test_visible_text_is_one_line_and_says_the_same(text: str) -> None:
    """Nothing steers, nothing is left out, and to show it twice changes nothing."""
    assert steering(visible(text)) == set()
    assert len(visible(text).splitlines()) <= 1
    assert visible(visible(text)) == visible(text)
    assert visible_lines(text).count("\n") == text.count("\n")
    if not steering(text) and "\n" not in text:
        assert visible(text) == text


@pytest.mark.parametrize("render", [markdown, lambda _, *page: latex(*page)])
def test_pages_show_text_of_others(render: Callable[..., str]) -> None:
    """In titles, headings, cells and notes; an override reorders no table of a paper."""
    table = TextTable(title=EVIL, heading=(EVIL, "n"), rows=((Cell(EVIL), Cell(EVIL, 1)),))
    for tables in ([table], []):
        page = render(EVIL, tables, [EVIL])
        assert steering(page) == set()
        assert "u202e" in page


def test_a_console_shows_text_of_others_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells and titles of tables, strings and texts; markup is no markup."""
    from gmsearch.cli.console import Console

    table = Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    table.add_row(Text(EVIL))
    console = Console(width=200, force_terminal=True)
    console.print(table)
    console.print(EVIL, "[red]x[/] [link=http://x]y[/link] :smile:")
    raw = capsys.readouterr().out
    assert "\x1b[31;7m" not in raw
    out = re.sub(r"\x1b\[[0-9;]*m", "", raw)
    assert "[red]x[/] [link=http://x]y[/link] :smile:" in out
    assert steering(out) == set()
