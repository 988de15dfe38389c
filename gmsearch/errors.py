"""Every exception gmsearch raises on purpose.

GmsearchError
├── InputError (ValueError)     what a user wrote or pointed at; one line a mistake; exit code 2
│   ├── FieldError              a value of a dataclass that cannot be, named by its path
│   ├── SpaceError              the mistakes of one space file, each with line and column
│   ├── DataError               a data set that is missing, empty or damaged
│   ├── PluginError             a plugin that is missing, does not load, or registers a bad part
│   ├── CheckpointError         a file of weights that is missing, damaged or another network's
│   └── StudyError              a study folder that is locked, damaged or of another space
├── PluginCodeError             a plugin's code raised, or returned what its part may not return
└── DivergedError               training met a loss or a result that is not finite
"""

from __future__ import annotations

import dataclasses


class GmsearchError(Exception):
    """The root of every error raised on purpose."""


class InputError(GmsearchError, ValueError):
    """Something the user wrote or pointed at; the message names the remedy."""


class FieldError(InputError):
    """A value that cannot be, named by its dotted path below the object that refused it."""

    def __init__(self, path: str, message: str) -> None:
        """Keep the path apart from the message, so that a file's line can be put to it."""
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
        self.errors: tuple[FieldError, ...] = (self,)
        """All that is wrong with the object, this error first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """Return `file:line:column: message`, the form editors jump to."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class SpaceError(InputError):
    """All mistakes of one space file, in the order of the file."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        """Sort the mistakes by place."""
        self.mistakes = tuple(sorted(mistakes, key=lambda m: (m.line, m.column, m.message)))
        super().__init__("\n".join(map(str, self.mistakes)))


class DataError(InputError):
    """A data set that is missing, empty, damaged or of another form than asked for."""


class PluginError(InputError):
    """A plugin that is missing, does not load, has changed, or registers a bad part."""

    reference: str = ""
    """Name of the plugin in the space file, where it is known."""


class CheckpointError(InputError):
    """A file of weights that is missing, damaged, unsafe, or of another network."""


class StudyError(InputError):
    """A study folder that is locked, unwritable, damaged, or that belongs to another space."""


class PluginCodeError(GmsearchError):
    """A plugin's code raised, or returned what its part may not; the message names the file."""


class DivergedError(GmsearchError):
    """Training met a loss or a result that is not finite; the message says where first."""
