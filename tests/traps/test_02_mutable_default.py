"""Trap 2: a mutable default argument leaks one run's config into the next."""

from __future__ import annotations

import pydantic
import pytest

from ablab.config import override
from ablab.tasks.detection.recipe import DetectionRecipe


def test_a_recipe_cannot_be_changed() -> None:
    recipe = DetectionRecipe()
    with pytest.raises(pydantic.ValidationError):
        recipe.train.epochs = 3  # type: ignore[misc]


def test_two_recipes_share_no_mutable_part() -> None:
    one, other = DetectionRecipe(), DetectionRecipe()
    one.loss.classification.args["gamma"] = 9  # a mapping can be written into; nobody else may see it
    changed = override(other, {"train.epochs": 2})
    assert "gamma" not in other.loss.classification.args
    assert "gamma" not in changed.loss.classification.args
