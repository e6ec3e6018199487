"""Parts that a recipe names are held to their contracts with the plan, as parts of edits are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_study import tiny

from ablab import registry
from ablab.config import parse
from ablab.engine.events import Silent
from ablab.errors import UserError
from ablab.recipe import parts
from ablab.study import plan
from ablab.tasks.detection.recipe import DetectionRecipe

HALF = """
from torch import Tensor
from ablab import register

@register("box_loss", "never-right")
def build():
    def loss(predicted: Tensor, wanted: Tensor) -> Tensor:
        return (predicted - wanted).abs().sum(dim=-1) + 1
    return loss
"""


def test_every_part_of_a_recipe_is_found_with_its_slot() -> None:
    recipe = parse(DetectionRecipe, {"loss": {"objectness": "focal"}, "augment": {"extra": ["blur", "noise"]}}, "test")
    assert sorted(parts(recipe)) == [
        ("augmentation", "blur"),
        ("augmentation", "noise"),
        ("box_loss", "ciou"),
        ("class_loss", "bce"),
        ("class_loss", "focal"),
        ("sampler", "shuffle"),
    ]


def test_a_part_of_the_recipe_that_breaks_its_contract_stops_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slot in registry.SLOTS:
        registry.names(slot)
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))  # what a test registers stays in the test
    file = tmp_path / "my_losses.py"
    file.write_text(HALF)
    registry.load_plugins([file])
    study = tiny(changes=[{"name": "odd", "set": {"loss.box": "never-right"}}], controls=[])
    with pytest.raises(UserError, match=r"change 'odd': .*box_loss/never-right: zero at identity\? No"):
        plan.plan(study, [], Silent())
