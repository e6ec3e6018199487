"""Trap 3: the activation is set as a class attribute, and survives into the next model built."""

import torch
from torch import nn

from ablab import surgery
from ablab.tasks.detection.model import Conv, YOLOv5
from ablab.tasks.detection.recipe import DetectionModel

IMAGE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_the_next_model_is_a_baseline_again():
    anchors = torch.full((3, 3, 2), 16.0)
    before = dict(vars(Conv))
    edited, _ = surgery.apply(YOLOv5(DetectionModel(), 2, anchors), [surgery.replace(of="silu", part="frelu")], IMAGE)
    assert dict(vars(Conv)) == before
    fresh = YOLOv5(DetectionModel(), 2, anchors)
    assert not any(type(module) is nn.SiLU for module in edited.modules())
    assert sum(type(module) is nn.SiLU for module in fresh.modules()) == 57
