"""Where the mistake of a plugin is: the line of a part's code, or of an exception in it."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path

from gmsearch.experiment.plugin import PluginFile
from gmsearch.plugins.load import loaded
from gmsearch.plugins.parts import Part


def located(part: Part, file: PluginFile) -> str:
    """Return how a message names a part: `shifted of my_gates.py:24`, the line of its code."""
    try:
        code = inspect.unwrap(part.make)
        line = f":{inspect.getsourcelines(code)[1]}"
        name = Path(inspect.getfile(code)).name
    except (TypeError, OSError):
        return f"{part.name} of {file.reference}"
    return f"{part.name} of {file.reference if name == '__init__.py' else name}{line}"


def described(error: BaseException, file: PluginFile) -> str:
    """Return one line for an exception of a plugin's code, with file and line where known."""
    lines = str(error).strip().splitlines()
    what = ": ".join([type(error).__name__, *lines[:1]])
    plugin = loaded(file)
    own = plugin.watched if plugin is not None else {}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename) in own:
            return f"{Path(frame.filename).name}:{frame.lineno}: {what}"
    return what
