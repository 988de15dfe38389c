"""Files that cannot be read as text: missing, too large, not UTF-8."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gmsearch.errors import InputError, SpaceError
from gmsearch.spacefile import load_space


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
    """A file that is not UTF-8 is reported at its first wrong byte."""
    path = tmp_path / "space.yaml"
    path.write_bytes(content)

    with pytest.raises(SpaceError) as caught:
        load_space(path)

    if place is not None:
        assert str(caught.value) == f"{path}:{place}: not UTF-8 text; save the file as UTF-8"


def test_missing_file_names_those_beside_it(tmp_path: Path) -> None:
    """A missing file is reported with the space files of its folder."""
    (tmp_path / "gate.yaml").touch()

    with pytest.raises(InputError, match=r"no such file; .*; .* has gate.yaml"):
        load_space(tmp_path / "gaet.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder is reported as one."""
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
