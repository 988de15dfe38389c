"""The methods of search, one row each; `gmsearch.search` has a sampler for every row."""

from __future__ import annotations

import dataclasses

from gmsearch.tables import Table


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """What a space file must know of a method of search."""

    text: str
    """Candidates that it trains."""
    selects: bool = False
    """Whether it picks a winner: then the holdout decides, never the evaluation split."""
    enumerates: bool = False
    """Whether it lists its candidates in advance, so that every domain must be finite."""
    baseline: bool = False
    """Whether it starts from the baseline."""
    required: tuple[str, ...] = ()
    """Fields of `Search` that it needs."""
    optional: tuple[str, ...] = ()
    """Fields of `Search` that it uses and that not every method does."""

    @property
    def options(self) -> tuple[str, ...]:
        """The fields of `Search` that only some methods use, this one among them."""
        return (*self.required, *self.optional)


METHODS: Table[Method] = Table(
    "method",
    {
        "grid": Method(text="the full factorial", enumerates=True),
        "ablation": Method(
            text="one factor at a time from the baseline", enumerates=True, baseline=True
        ),
        "random": Method(text="`candidates` random ones", selects=True, required=("candidates",)),
        "tpe": Method(
            text="`candidates` proposed by multivariate TPE",
            selects=True,
            required=("candidates",),
        ),
        "nsga2": Method(
            text="`candidates` proposed by NSGA-II",
            selects=True,
            required=("candidates",),
            optional=("population",),
        ),
    },
)
"""Every method by name."""


def users_of(option: str) -> list[str]:
    """Return the methods that use a field of `Search`."""
    return [name for name, method in METHODS.items() if option in method.options]


def special_options() -> list[str]:
    """Return the fields of `Search` that only some methods use."""
    return list(dict.fromkeys(o for method in METHODS.values() for o in method.options))
