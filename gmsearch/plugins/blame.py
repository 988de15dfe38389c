"""Where the mistake of a plugin is: the line of an exception in its code."""

from __future__ import annotations

import traceback
from pathlib import Path

from gmsearch.experiment.plugin import PluginFile
from gmsearch.plugins.load import loaded


def described(error: BaseException, file: PluginFile | None) -> str:
    """Return one line for an exception of a plugin's code, with file and line where known."""
    lines = str(error).strip().splitlines()
    what = ": ".join([type(error).__name__, *lines[:1]])
    plugin = loaded(file) if file is not None else None
    own = plugin.watched if plugin is not None else {}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) in own:
            return f"{Path(frame.filename).name}:{frame.lineno}: {what}"
    return what
