"""No text causes a traceback: it is a space, or its mistakes are reported."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmsearch.errors import InputError, SpaceError
from gmsearch.spacefile import load_space

# Exhaustive loops: tracing each of their steps more than doubles their time, and shows nothing
# that the other tests of these modules do not cover.
pytestmark = pytest.mark.no_cover

FRAGMENTS = [
    *"{}[]:,-#&*!|>%@`?\\\"'\t\n\x00\x85\u2028\ufeff",
    *("  ", ": ", ", ", "- ", "&a ", "*a", "<<: *a", "? ", "---\n", "...\n", "%YAML 1.2\n"),
    *("!!int ", "!x ", "!<", '"\\U', "none", "null", "~", "true", "off", "0", "-1", "1.5"),
    *("1e400", ".nan", "0x", "0b", "1_", "99999999999999999999", "2024-01-01", "[]", "{}"),
    *("choice", "int", "float", "when", "else", "step", "steps", "log", "gate.product"),
    *("model", "train", "preset: gmnet_s3", "family: timm", "20%", "1.2 x baseline"),
]
RELAXED = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refusal(path: Path) -> InputError | None:
    """Return why a file does not load; what is no refusal is an error of ours and passes on."""
    try:
        load_space(path)
    except InputError as error:
        return error
    return None


def check(path: Path) -> None:
    """Assert that a file loads or is refused in lines that name places in it."""
    error = refusal(path)

    if isinstance(error, SpaceError):
        lines = len(path.read_bytes().decode("utf-8", "replace").splitlines())
        assert error.mistakes
        assert all(1 <= m.line <= lines + 1 and m.column >= 1 for m in error.mistakes)
        assert all("\n" not in m.message for m in error.mistakes)
    else:
        assert "\n" not in str(error or "")


@RELAXED
@given(
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(["", *FRAGMENTS])),
        min_size=1,
        max_size=6,
    )
)
def test_a_damaged_example(
    cuts: list[tuple[float, int, str]], example: str, tmp_path: Path
) -> None:
    """An example with pieces cut out and fragments put in is a space or is refused."""
    text = example
    for where, length, fragment in cuts:
        at = int(where * len(text))
        text = text[:at] + fragment + text[at + length :]
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")

    check(path)


@RELAXED
@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes, tmp_path: Path) -> None:
    """Bytes of any kind are a space or are refused."""
    path = tmp_path / "space.yaml"
    path.write_bytes(content)

    check(path)


@RELAXED
@given(
    section=st.sampled_from(
        ["about", "train", "baseline", "forbid", "data", "bands", "objectives", "constraints"]
    ),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab.@:x %", max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.@:"), inner),
        max_leaves=8,
    ),
)
def test_any_value_for_a_section(section: str, value: object, tmp_path: Path) -> None:
    """A section of any shape is a mistake at most."""
    path = tmp_path / "space.yaml"
    others = {
        "study": "'x'",
        "model": "{widths: [8], depths: [1], gate: {product: {choice: [none, self]}}}",
        "data": "{name: spectral}",
        "objectives": "{top1: maximize}",
        "search": "{method: grid}",
        section: repr(value).replace("None", "null"),
    }
    text = "".join(f"{key}: {said}\n" for key, said in others.items())
    path.write_text(text, encoding="utf-8")

    check(path)


@pytest.fixture
def shallow() -> Iterator[int]:
    """Lower how deep Python's stack may grow, and return the limit; a few calls lie on it."""
    usual, limit = sys.getrecursionlimit(), len(inspect.stack()) + 150
    sys.setrecursionlimit(limit)
    yield limit
    sys.setrecursionlimit(usual)


def test_a_long_chain_of_parameters(tmp_path: Path, shallow: int) -> None:
    """A chain of parameters longer than Python's stack, each needing the last, is a space."""
    n = shallow + 50
    domains = ["{choice: [8, 16]}"]
    domains += [f"{{choice: [8, 16], when: {{widths.{i}: 8}}, else: 8}}" for i in range(n - 1)]
    path = tmp_path / "space.yaml"
    path.write_text(
        f"study: long\nmodel: {{widths: [{', '.join(domains)}], depths: {[1] * n}}}\n"
        "data: {name: spectral}\nobjectives: {top1: maximize}\nsearch: {method: grid}\n",
        encoding="utf-8",
    )

    assert load_space(path).count() == n + 1
