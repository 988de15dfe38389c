"""Files that are no space at all: unreadable, not YAML, not the YAML asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gmsearch.errors import InputError, SpaceError
from gmsearch.spacefile import load_space

TEXTS: dict[str, tuple[str, str]] = {
    "nothing": ("»", "the file is empty; begin with `study: NAME`"),
    "comments alone": ("»# nothing yet\n", "the file is empty; begin with `study: NAME`"),
    "a list": ("»- a\n- b\n", "[a, b] is not a mapping; begin with `study: NAME`"),
    "a word": ("»hello\n", "'hello' is not a mapping; begin with `study: NAME`"),
    "open bracket": ("study: [a\nb»: c\n", "not YAML: expected ',' or ']', but got ':'"),
    "tab": (
        "study: a\nmodel:\n»\twidths: [1]\n",
        (
            r"not YAML: found character '\t' that cannot start any token; "
            "indent with blanks, not tabs"
        ),
    ),
    "two colons": (
        "study: a»: b\n",
        (
            "not YAML: mapping values are not allowed here; one `key: value` a line, and "
            "quote a text "
            "that has `: ` in it"
        ),
    ),
    "undefined alias": ("study: »*name\n", "not YAML: found undefined alias 'name'"),
    "two documents": (
        "study: a\n»---\nstudy: b\n",
        "not YAML: but found another document; one file is one space, remove the `---`",
    ),
    "another YAML": (
        "»%YAML 1.1\n---\nstudy: a\n",
        "the file is read as YAML 1.2; remove the %YAML line",
    ),
    "control character": (
        "study: a\nabout: b»\x01c\n",
        "character #x1 cannot stand in a text; remove it",
    ),
    "character beyond Unicode": (
        '»about: "\\UFFFFFFFF"\n',
        "not YAML: Python int too large to convert to C int",
    ),
    "nested without end": (
        f"study: {'[' * 39}»{'[' * 500}",
        "nested more than 40 levels deep; write it flatter",
    ),
    "aliases without end": (
        "»a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "aliases make more than 50000 values of the file; use fewer",
    ),
}
EDITS: dict[str, tuple[str, tuple[str, str]]] = {
    "key given twice": (
        "key 'epochs' is given twice, first on line 11; remove one",
        ("epochs: 8", "epochs: 8, »epochs: 9"),
    ),
    "tag of Python": (
        "tag '!!python/object/apply:os.system' is not allowed; remove it",
        ("epochs: 8", "epochs: »!!python/object/apply:os.system 8"),
    ),
    "tag of one's own": (
        "tag '!big' is not allowed; remove it",
        ("{epochs: 8, lr: 3e-3}", "»!big {epochs: 8, lr: 3e-3}"),
    ),
    "number that is none": (
        "'eight' is not of the type its tag says; quote it",
        ("bare", "bare\nabout: »!!int eight"),
    ),
    "infinite number": (
        (
            ".inf is not a number that can be computed with; give a finite number, an "
            "integer within "
            "2^53"
        ),
        ("lr: 3e-3", "lr: ».inf"),
    ),
    "integer without end": (
        (
            "100000000000000000000 is not a number that can be computed with; give a "
            "finite number, "
            "an integer within 2^53"
        ),
        ("epochs: 8", "epochs: »100000000000000000000"),
    ),
    "alias of itself": (
        "an alias that contains itself; write the value out",
        ("bare", "bare\nabout: &a {»b: *a}"),
    ),
    "merge of a list": (
        "`<<` merges mappings; give it an alias of a mapping",
        ("{epochs: 8, ", "{epochs: 8, »<<: [1, 2], "),
    ),
    "key that is a list": (
        "key that is no scalar is not a word; name it, or quote it",
        ("{epochs: 8, ", "{epochs: 8, »[a, b]: 3, "),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_space_is_told_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """A text that cannot be read gives one line that says where reading ended, and why."""
    text, message = TEXTS[name]

    (place,) = marked(text=text)

    assert told(text=text) == [f"{place}: {message}"]


@pytest.mark.parametrize("name", EDITS)
def test_yaml_that_a_space_may_not_use_is_told_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """What is YAML but has no business in a space file is a mistake at its place."""
    message, edit = EDITS[name]

    (place,) = marked(edit)

    assert f"{place}: {message}" in told(edit)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"study: a\nabout: \xff\xfe\n", "2:8"),
        ("study: ä\n".encode("latin-1"), "1:8"),
        ("about: ä\nstudy: a\n".encode("utf-16"), "1:1"),
        (os.urandom(64) + b"\xff" * 8, None),
    ],
    ids=["bytes", "latin-1", "utf-16", "random"],
)
def test_bytes_that_are_no_text(content: bytes, place: str | None, tmp_path: Path) -> None:
    """A file that is not UTF-8 is told at its first wrong byte."""
    path = tmp_path / "space.yaml"
    path.write_bytes(content)

    with pytest.raises(SpaceError) as caught:
        load_space(path)

    if place is not None:
        assert str(caught.value) == f"{path}:{place}: not UTF-8 text; save the file as UTF-8"


def test_missing_file_names_those_beside_it(tmp_path: Path) -> None:
    """A path that leads nowhere is told with the space files that are there."""
    (tmp_path / "gate.yaml").touch()

    with pytest.raises(InputError, match=r"there is no such file; .*; .* has gate.yaml"):
        load_space(tmp_path / "gaet.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder is told to be one."""
    with pytest.raises(InputError, match="is a folder; give the path of a space file"):
        load_space(tmp_path)


def test_endless_file() -> None:
    """A file without end is read no further than a space file may be long."""
    with pytest.raises(InputError, match=r"larger than 256 KiB"):
        load_space(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["x" * 300 + ".yaml", "a\0b.yaml", "file.yaml/space.yaml"])
def test_impossible_paths(name: str, tmp_path: Path) -> None:
    """A path that the system refuses gives the system's reason in one line."""
    (tmp_path / "file.yaml").touch()

    with pytest.raises(InputError, match=r"cannot be read \(.*\); give a readable file"):
        load_space(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    """A file without the right to read it gives the system's reason in one line."""
    path = tmp_path / "space.yaml"
    path.touch(mode=0o000)

    with pytest.raises(InputError, match="cannot be read"):
        load_space(path)
