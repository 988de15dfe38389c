"""README and docs/: every command and every block of YAML or Python is run, as it is printed.

A document's blocks run in their order, in one folder of its own:

- ```` ```console ````: each line that begins with `$ ` is run; the other lines show output.
- ```` ```yaml ````: a space file, or some of its keys, which are then put over those of the
  document's first whole space. It is checked, and written where the info string names a file.
- ```` ```python ````: executed, or written where the info string names a file, a second block
  of that name behind the first.

Commands in the text are run last. What takes minutes is run on smaller inputs of the same name.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gmsearch.experiment import DATA_SPECS
from gmsearch.metrics import names
from gmsearch.networks import ACTIVATIONS, FAMILIES, PRODUCTS
from gmsearch.space import METHODS
from gmsearch.spacefile import json_schema

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(gmsearch [^`]+)`")
SMALL = {
    "data": {"name": "spectral", "resolution": 32, "train_images": 120, "evaluation_images": 60},
    "train": {"epochs": 1, "batch_size": 32},
    "search": {"method": "grid", "seeds": [0, 1]},
    "objectives": {"top1": "maximize", "high@10": "maximize", "flops": "minimize"},
}
"""Keys of the small spaces that stand in for those of `spaces/`."""
OTHERS = ("pip", "nox", "cd", "python", "nice")
"""Programs that CI runs before the tests, or that change nothing here."""
FASTER = {"profile": ("--no-timing",), "run": ("--engine", "serial")}
"""Flags that save minutes; latency and Ray have tests of their own."""
NAMES = {"FILE": "spaces/gate_ablation.yaml", "SPACE": "spaces/gate_ablation.yaml"}
NAMES |= {"STUDY": "gate_ablation", "NAME": "gmnet_s3"}


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    language: str
    file: str | None
    text: str


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document that have a language."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [Block(*match.groups()) for match in FENCE.finditer(text)]


def commands(document: str) -> list[str]:
    """Return the commands of the text, without the fenced blocks."""
    text = FENCE.sub("", (ROOT / document).read_text(encoding="utf-8"))
    return list(dict.fromkeys(SPAN.findall(text)))


@pytest.fixture(scope="module", params=DOCUMENTS)
def document(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return a document, the current folder an empty one but for small spaces."""
    folder = tmp_path_factory.mktemp("document")
    (folder / "spaces").mkdir()
    yaml = YAML(typ="safe")
    for path in sorted((ROOT / "spaces").glob("*.yaml")):
        space = yaml.load(path)
        if space["search"]["method"] == "grid":
            small = {**space, **SMALL}
            small.pop("constraints", None)
            small["model"] = {**space["model"], "stem_width": 4, "widths": [4, 8, 8]}
            with (folder / "spaces" / path.name).open("w", encoding="utf-8") as file:
                yaml.dump(small, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield request.param


def test_a_document_can_be_followed_from_top_to_bottom(
    document: str, gmsearch: Callable[..., Any]
) -> None:
    """Every block of a document works, in its order, and then every command of its text."""
    base: dict[str, Any] = {}
    for block in blocks(document):
        if block.language == "console":
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    run(line.removeprefix("$ "), gmsearch)
        elif block.language == "yaml":
            base = check(block, base, gmsearch)
        elif block.language == "python":
            follow(block)
    for command in commands(document):
        run(command, gmsearch)


def run(line: str, gmsearch: Callable[..., Any]) -> None:
    """Run one command in the current folder; a study that it reads is made first."""
    program, *arguments = shlex.split(line)
    if program in OTHERS or not arguments or "…" in line:
        return
    assert program == "gmsearch", line
    command, *rest = (NAMES.get(word, word) for word in arguments)
    if command.startswith("--"):
        assert gmsearch(command, *rest).returncode == 0
        return
    if command in ("report", "measure", "show", "list") and not Path("studies").exists():
        run("gmsearch run spaces/gate_ablation.yaml", gmsearch)
    if "TRIAL" in rest:
        rest[rest.index("TRIAL")] = first_trial(rest[0])
    done = gmsearch(command, *rest, *FASTER.get(command, ()))
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def first_trial(study: str) -> str:
    """Return the key of a trial of a study."""
    return next(Path("studies", study, "history").glob("[0-9a-f]*.json")).stem


def check(block: Block, base: dict[str, Any], gmsearch: Callable[..., Any]) -> dict[str, Any]:
    """Check a space, or some keys of one; return the first whole space of the document."""
    tree = YAML(typ="safe").load(block.text)
    whole = "study" in tree
    path = Path(block.file or "block.yaml")
    if whole:
        path.write_text(block.text, encoding="utf-8")
    else:
        assert base, f"keys of a space before any whole space:\n{block.text}"
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(over(base, tree), file)
    done = gmsearch("check", str(path))
    assert done.returncode == 0, f"{block.text}\n{done.stderr}"
    return base or tree


def over(base: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return a space with some of its keys replaced; a new model leaves no old names behind."""
    tree = {**base, **keys}
    if "model" in keys:
        for named in {"baseline", "forbid"} - keys.keys():
            tree.pop(named, None)
    return tree


def follow(block: Block) -> None:
    """Write a block of Python where it names a file, else execute it."""
    if block.file is not None:
        Path(block.file).parent.mkdir(parents=True, exist_ok=True)
        with Path(block.file).open("a", encoding="utf-8") as file:
            file.write(block.text)
    else:
        exec(compile(block.text, "block", "exec"), {"__name__": "block"})  # noqa: S102 - our own


def test_links_lead_somewhere() -> None:
    """Every relative link of a document names a file, and its anchor a heading of that file."""
    for name in DOCUMENTS:
        path = ROOT / name
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            assert there.exists(), f"{name}: {target}"
            if anchor:
                headings = re.findall(
                    r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE
                )
                slugs = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
                assert anchor in slugs, f"{name}: {target}"


def test_every_name_of_a_space_file_is_documented() -> None:
    """Reference pages name every row that a space file may name."""
    text = "".join(
        (ROOT / f"docs/{page}.md").read_text() for page in ("space-file", "measurements")
    )
    tables = (ACTIVATIONS, PRODUCTS, FAMILIES, METHODS, DATA_SPECS, names())
    assert [name for table in tables for name in table if f"`{name}`" not in text] == []


def test_every_key_of_a_space_file_is_documented() -> None:
    """Each property of the JSON Schema appears in docs/space-file.md as code."""
    text = (ROOT / "docs/space-file.md").read_text(encoding="utf-8")
    code = set(re.findall(r"\w+", " ".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))))
    assert sorted(properties(json_schema()) - code) == []


def properties(schema: Any) -> set[str]:
    """Return the names of all properties in a JSON Schema."""
    if isinstance(schema, list):
        return {name for part in schema for name in properties(part)}
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", ()))
    return own | {name for part in schema.values() for name in properties(part)}
