"""Seeds: every stream's bytes are those of all released versions."""

from __future__ import annotations

from gmsearch.seeds import derive_seed, derive_wide_seed, sampler_seed


def test_derived_seeds_never_change() -> None:
    """Streams of training, of decoding, of weights and of samplers are pinned to their bytes."""
    assert derive_seed(7, "mix", 13) == 232080765557964312
    assert derive_seed(2**32 - 1, "mix", 0) == 731467997410191877
    assert derive_seed(0, "stem.weight") == 3200671156427622072
    assert derive_wide_seed(0, "stream", 0) == (
        5467499169851238209273260257777229221752914364750261577358231281308973278434
    )
    assert sampler_seed(0, 0) == 1029182123
    assert sampler_seed(7, 13) == 3829596610
