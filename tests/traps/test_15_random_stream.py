"""Trap 15: a constructor-time swap moves the random stream: every later layer starts elsewhere."""

import torch

from ablab import surgery
from ablab.measure.seeding import forked
from ablab.tasks.detection.model import YOLOv5
from ablab.tasks.detection.recipe import DetectionModel

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
EDITS = [surgery.replace(of="silu", part="frelu"), surgery.insert(after="backbone.out", part="cbam", expect=3)]


def baseline():
    with forked("init", "study", 1):
        return YOLOv5(DetectionModel(), 3, torch.full((3, 3, 2), 16.0))


def test_untouched_weights_and_buffers_equal_the_baselines_to_the_bit():
    model = baseline()
    edited, _ = surgery.apply(model, EDITS, IMAGE, key=("study", 1))
    fresh, new = baseline().state_dict(), edited.state_dict()
    assert set(fresh) < set(new)
    for name, value in fresh.items():
        assert torch.equal(new[name], value), name
        assert new[name].data_ptr() != model.state_dict()[name].data_ptr()


def test_the_draws_that_follow_do_not_move():
    model = baseline()
    with forked("later"):
        expected = torch.rand(3)
    with forked("later"):
        surgery.apply(model, EDITS, IMAGE)
        assert torch.equal(torch.rand(3), expected)
