"""An arm: one candidate with its recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmsearch.experiment.recipe import Recipe, recipe_from
from gmsearch.networks import Candidate, candidate_from, candidate_identity
from gmsearch.plain import digest, plain


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One candidate with its recipe; seeds are its repeats."""

    candidate: Candidate
    recipe: Recipe

    @property
    def digest(self) -> str:
        """The hash of candidate and recipe, except `checkpoint_every`, which changes no number."""
        recipe = plain(self.recipe)
        del recipe["checkpoint_every"]
        return digest({"candidate": candidate_identity(self.candidate), "recipe": recipe})


def arm_from(tree: Mapping[str, Any]) -> Arm:
    """Build an arm from plain data; raises FieldError for values outside their limits."""
    return Arm(candidate=candidate_from(tree["candidate"]), recipe=recipe_from(tree["recipe"]))
