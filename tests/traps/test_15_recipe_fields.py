"""Trap 15 where a change sets a field of the recipe: what the field does not touch starts as in the baseline."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ablab.config import parse
from ablab.measure.seeding import forked
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel


def weights(draws: int = 0, **model: object) -> dict[str, Tensor]:
    recipe = parse(DetectionModel, model, "test")
    with forked("init", "study", 1):
        torch.rand(draws)
        return build_model(recipe, 3, None if recipe.head == "anchor-free" else DEFAULT).state_dict()


@pytest.mark.parametrize(
    ("field", "touched"),
    [
        ({"stem": "focus"}, "backbone.stem."),
        ({"stem": "separable"}, "backbone.stem."),
        ({"pool": "aspp"}, "backbone.stage5.2."),
        ({"residual": "concat"}, "-"),
        ({"depth": 0.67}, "-"),
        ({"neck": "fpn"}, "-"),
        ({"neck": "bifpn"}, "head.predict."),
        ({"head": "anchor-free"}, "head."),
        ({"backbone": {"part": "torchvision", "args": {"name": "resnet18", "pretrained": False}}}, "-"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_weights_of_the_same_name_and_shape_are_the_baselines(field: dict[str, object], touched: str) -> None:
    before, after = weights(), weights(**field)
    shared = [name for name in before if name in after and before[name].shape == after[name].shape]
    kept = [name for name in shared if not name.startswith(touched) and before[name].dim() > 1]
    assert len(kept) > 5
    assert [name for name in kept if not torch.equal(before[name], after[name])] == []


def test_another_seed_draws_every_weight_anew() -> None:
    first, second = weights(), weights(draws=1)
    drawn = [name for name, tensor in first.items() if tensor.dim() > 1 and "anchors" not in name]
    assert len(drawn) > 50
    assert [name for name in drawn if torch.equal(first[name], second[name])] == []


def test_no_two_layers_of_one_shape_start_alike() -> None:
    drawn = [tensor for name, tensor in weights().items() if tensor.dim() > 1 and "anchors" not in name]
    assert len({tensor.flatten()[:8].numpy().tobytes() for tensor in drawn}) == len(drawn)
