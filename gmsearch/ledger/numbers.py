"""Numbers of the arms of a study, by which people speak of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from gmsearch.ledger.reader import Records
from gmsearch.plain import canonical_json, plain


class ArmNumbers:
    """Numbers arms from 1, in the order in which they were first proposed.

    The records may grow meanwhile; a number never changes. Threads may ask at once.
    """

    def __init__(self, records: Records) -> None:
        """Number the arms of some records."""
        self._records = records
        self._lock = threading.Lock()
        self._read = 0
        self._of_arms: dict[str, int] = {}
        self._of_params: dict[str, int] = {}

    def of(self, params: Mapping[str, Any]) -> int | None:
        """Return the number of the arm with these parameters; None if it was not proposed."""
        with self._lock:
            self._read_on()
        return self._of_params.get(canonical_json(plain(params)))

    def __len__(self) -> int:
        """Return how many arms have a number."""
        return len(self._of_arms)

    def _read_on(self) -> None:
        asks = self._records.asks
        for ask in asks[self._read :]:
            key = canonical_json(plain(ask.params))
            number = self._of_arms.setdefault(ask.arm or key, len(self._of_arms) + 1)
            self._of_params.setdefault(key, number)
        self._read = len(asks)
