"""The anchor head: decoding by hand, priors and shapes."""

import math

import pytest
import torch

from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.heads import AnchorHead
from ablab.tasks.detection.heads.anchor import decode_boxes

ANCHORS = torch.from_numpy(DEFAULT)


def head(classes=3):
    return AnchorHead((4, 8, 16), classes, ANCHORS, (8, 16, 32))


def logit(p):
    return math.log(p / (1 - p))


def test_decode_one_cell_by_hand():
    """Level 1 (stride 16), anchor 2 (59 x 119), row 1, column 3: sigmoids 0.25, 0.75, 0.5, 0.6."""
    raw = [torch.zeros(1, 24, 8, 8), torch.zeros(1, 24, 4, 4), torch.zeros(1, 24, 2, 2)]
    raw[1][0, 16:, 1, 3] = torch.tensor([logit(p) for p in (0.25, 0.75, 0.5, 0.6, 0.9, 0.1, 0.2, 0.3)])
    boxes, scores = head().decode(raw)
    assert boxes.shape == (1, 3 * (64 + 16 + 4), 4)
    assert scores.shape == (1, 3 * (64 + 16 + 4), 3)
    x, y = (2 * 0.25 - 0.5 + 3) * 16, (2 * 0.75 - 0.5 + 1) * 16
    w, h = 59.0, 1.2**2 * 119
    place = 3 * 64 + (1 * 4 + 3) * 3 + 2
    torch.testing.assert_close(boxes[0, place], torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2]))
    torch.testing.assert_close(scores[0, place], 0.9 * torch.tensor([0.1, 0.2, 0.3]))


def test_zero_logits_give_the_anchor_in_the_middle_of_its_cell():
    boxes, scores = head().decode([torch.zeros(1, 24, 2, 3)] * 3)
    first_level = boxes[0, : 2 * 3 * 3].view(2, 3, 3, 4)
    torch.testing.assert_close(first_level[1, 2, 0], torch.tensor([20 - 5.0, 12 - 6.5, 20 + 5.0, 12 + 6.5]))
    assert (scores == 0.25).all()


def test_no_side_below_the_smallest():
    place = torch.zeros(1, 2), torch.tensor([10.0, 13.0]), torch.tensor([8.0])
    box = decode_boxes(torch.zeros(1, 4), *place, smallest=0.5)
    torch.testing.assert_close(box[:, 2:] - box[:, :2], torch.full((1, 2), 0.5))


def test_low_precision_maps_are_decoded_in_float32():
    boxes, scores = head().decode([torch.zeros(1, 24, 1, 1, dtype=torch.bfloat16)] * 3)
    assert boxes.dtype == scores.dtype == torch.float32


def test_priors():
    """Before training objectness is about 8 in (640 / stride)^2 and classes about 0.6 / C."""
    network = head(classes=20)
    with torch.no_grad():
        raw = network([torch.zeros(1, c, 1, 1) for c in (4, 8, 16)])
    for y, stride in zip(raw, (8, 16, 32), strict=True):
        y = y.view(3, 25)
        expected = logit(1 / ((640 / stride) ** 2 / 8 + 1))
        assert y[:, 4].mean().item() == pytest.approx(expected, abs=0.6)  # torch's own bias is within 1/sqrt(4)
        assert y[:, 5:].mean().item() == pytest.approx(math.log(0.6 / 19), abs=0.3)


def test_one_class_is_objectness_alone():
    network = head(classes=1)
    assert all(conv.bias.detach().view(3, 6)[:, 5].abs().max() <= 0.5 for conv in network.predict)
    raw = [torch.randn(1, 18, 2, 2)] * 3
    _, scores = network.decode(raw)
    expected = raw[0].view(3, 6, 4)[:, 4].sigmoid().T.reshape(-1)  # (cell, anchor)
    torch.testing.assert_close(scores[0, :12, 0], expected)


def test_anchors_are_saved_and_are_a_copy():
    anchors = ANCHORS.float()
    network = AnchorHead((4, 8, 16), 2, anchors, (8, 16, 32))
    anchors += 1
    torch.testing.assert_close(network.state_dict()["anchors"], ANCHORS.float())
