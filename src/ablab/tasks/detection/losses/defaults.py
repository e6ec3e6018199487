"""What each head's loss is made of where the recipe does not say."""

from __future__ import annotations

from typing import Any

from ablab.errors import ConfigError
from ablab.recipe import PartSpec
from ablab.tasks.detection.recipe import LossRecipe

DEFAULTS: dict[str, dict[str, Any]] = {
    "anchor": {
        "assigner": PartSpec(part="ratio"),
        "objectness": PartSpec(part="bce"),
        "box_gain": 0.05,
        "objectness_gain": 1.0,
        "balance": (4.0, 1.0, 0.4),
    },
    "anchor-free": {
        "assigner": PartSpec(part="task-aligned"),
        "distribution": PartSpec(part="dfl"),
        "box_gain": 7.5,
        "distribution_gain": 1.5,
    },
}
OPTIONAL = {name for defaults in DEFAULTS.values() for name in defaults}


def resolve(recipe: LossRecipe, head: str) -> LossRecipe:
    """The recipe with everything that this head needs.

    Raises ConfigError for a field that the head has no use for: it would make a treatment the baseline (trap 1).
    """
    defaults = DEFAULTS[head]
    useless = sorted(name for name in OPTIONAL - set(defaults) if getattr(recipe, name) is not None)
    if useless:
        raise ConfigError(f"loss.{' and loss.'.join(useless)} would do nothing: the head is '{head}'; take it out")
    return recipe.model_copy(update={name: v for name, v in defaults.items() if getattr(recipe, name) is None})
