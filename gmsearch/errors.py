"""Every exception gmsearch raises on purpose.

GmsearchError
├── InputError (ValueError)     what a user wrote or pointed at; one line per mistake; exit code 2
│   ├── FlagError               invalid values of a command's flags
│   ├── FieldError              an invalid value of a dataclass, named by its path
│   ├── SpaceError              the mistakes of one space file, each with line and column
│   ├── DataError               a data set that is missing, empty or damaged
│   ├── PluginError             a plugin that is missing, does not load, or registers a bad part
│   ├── CheckpointError         a file of weights that is missing, damaged or of another network
│   └── StudyError              a study folder that is locked, damaged or of another space
│       └── StorageError        a disk or folder that refuses to be written; exit code 1
├── SessionError                a Ray session that died under a running study; exit code 1
├── PluginCodeError             a plugin's code raised, or returned what its part may not return
└── DivergedError               training produced a loss or a result that is not finite
"""

from __future__ import annotations

import dataclasses


class GmsearchError(Exception):
    """The root of every error raised on purpose."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to print: one, unless several mistakes were found at once."""
        return (str(self),)


class InputError(GmsearchError, ValueError):
    """Something the user wrote or pointed at; the message names the remedy."""


class FlagError(InputError):
    """All mistakes in the flags of one command, a line each."""

    def __init__(self, *lines: str) -> None:
        """Keep the lines."""
        super().__init__("\n".join(lines))
        self._lines = lines

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each mistake."""
        return self._lines


class FieldError(InputError):
    """An invalid value, named by its dotted path within the object that refused it."""

    def __init__(self, path: str, message: str) -> None:
        """Keep path and message apart, so that the position in a file can be added."""
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
        self.errors: tuple[FieldError, ...] = (self,)
        """All errors of the object, this one first."""


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

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each mistake."""
        return tuple(map(str, self.mistakes))


class DataError(InputError):
    """A data set that is missing, empty, damaged or in an unexpected form."""


class PluginError(InputError):
    """A plugin that is missing, does not load, has changed, or registers a bad part."""

    reference: str = ""
    """Name of the plugin in the space file, where it is known."""


class CheckpointError(InputError):
    """A file of weights that is missing, damaged, unsafe, or of another network."""


class StudyError(InputError):
    """A study folder that is locked, unwritable, damaged, or that belongs to another space."""


class StorageError(StudyError):
    """A disk or folder that refuses to be written: the machine's fault, never a trial's."""


class SessionError(GmsearchError):
    """A Ray session that died under a running study; what finished is saved."""


class PluginCodeError(GmsearchError):
    """A plugin's code raised, or returned what its part may not; the message names the file."""


class DivergedError(GmsearchError):
    """Training produced a loss or a result that is not finite; the message says where first."""
