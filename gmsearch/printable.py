r"""Text of others made fit to print: what would steer a terminal is shown instead, as `\x1b`.

A class name, an error text or a file name may hold anything. Printed raw, escape sequences colour
or rewrite a terminal, newlines forge lines, and bidirectional overrides reorder what is read.
"""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x09\x0b-\x1f\x7f-\x9f"
_SEPARATORS = "\u2028\u2029"
_BIDIRECTIONAL = "\u202a-\u202e\u2066-\u2069"
_SURROGATES = "\ud800-\udfff"
_STEERING = f"{_CONTROLS}{_SEPARATORS}{_BIDIRECTIONAL}{_SURROGATES}"
_IN_LINES = re.compile(f"[{_STEERING}]")
_IN_A_LINE = re.compile(f"[\n{_STEERING}]")


def visible(text: str) -> str:
    r"""Return a text as one line: its newlines are shown as `\n`."""
    return _IN_A_LINE.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return a text whose newlines are meant."""
    return _IN_LINES.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
