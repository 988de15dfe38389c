"""Which assignments are still worth proposing: allowed, fitting, and of an arm not seen yet."""

from __future__ import annotations

import logging

from gmsearch.errors import FieldError
from gmsearch.experiment import Assignment
from gmsearch.space import Space

_log = logging.getLogger(__name__)


class Arms:
    """The arms proposed so far, by digest."""

    def __init__(self, space: Space) -> None:
        """Begin with none."""
        self._space = space
        self._seen: set[str] = set()
        self._misfits: set[str] = set()

    def digest(self, assignment: Assignment) -> str | None:
        """Return the digest of the arm; None where it is forbidden or cannot be built.

        Values that do not fit each other are passed over like forbidden ones, each reason
        logged once.
        """
        if self._space.forbidden(assignment):
            return None
        try:
            return self._space.arm(assignment).digest
        except FieldError as error:
            if str(error) not in self._misfits:
                self._misfits.add(str(error))
                _log.warning("passed over %s: %s; forbid it", dict(assignment), error)
            return None

    def seen(self, digest: str) -> bool:
        """Whether an arm was proposed before."""
        return digest in self._seen

    def admit(self, assignment: Assignment) -> bool:
        """Count an arm as proposed; False where it is not to be proposed, or was before."""
        digest = self.digest(assignment)
        if digest is None or digest in self._seen:
            return False
        self._seen.add(digest)
        return True
