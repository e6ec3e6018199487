"""The anchor head: decoding by hand, priors and shapes."""

import math

import pytest
import torch

from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.heads import AnchorHead, decode_boxes

ANCHORS = torch.from_numpy(DEFAULT)


def head(classes=3):
    return AnchorHead((4, 8, 16), classes, ANCHORS, (8, 16, 32))


def logit(p):
    return math.log(p / (1 - p))


def test_decode_one_cell_by_hand():
    """Level 1 (stride 16), anchor 2 (59 x 119), row 1, column 3: sigmoids 0.25, 0.75, 0.5, 0.6."""
    raw = [torch.zeros(1, 3, 8, 8, 8), torch.zeros(1, 3, 4, 4, 8), torch.zeros(1, 3, 2, 2, 8)]
    raw[1][0, 2, 1, 3] = torch.tensor([logit(p) for p in (0.25, 0.75, 0.5, 0.6, 0.9, 0.1, 0.2, 0.3)])
    decoded = head().decode(raw)
    assert decoded.shape == (1, 3 * (64 + 16 + 4), 8)
    x, y = (2 * 0.25 - 0.5 + 3) * 16, (2 * 0.75 - 0.5 + 1) * 16
    w, h = 59.0, 1.2**2 * 119
    row = decoded[0, 3 * 64 + 2 * 16 + 1 * 4 + 3]
    expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2, 0.9, 0.1, 0.2, 0.3]
    torch.testing.assert_close(row, torch.tensor(expected))


def test_zero_logits_give_the_anchor_in_the_middle_of_its_cell():
    decoded = head().decode([torch.zeros(1, 3, 2, 3, 8)] * 3)
    first_level = decoded[0, : 3 * 2 * 3, :4].view(3, 2, 3, 4)
    torch.testing.assert_close(first_level[0, 1, 2], torch.tensor([20 - 5.0, 12 - 6.5, 20 + 5.0, 12 + 6.5]))


def test_no_side_below_the_smallest():
    box = decode_boxes(torch.zeros(1, 4), torch.zeros(1, 2), torch.tensor([10.0, 13.0]), 8, smallest=0.5)
    torch.testing.assert_close(box[:, 2:] - box[:, :2], torch.full((1, 2), 0.5))


def test_low_precision_maps_are_decoded_in_float32():
    assert head().decode([torch.zeros(1, 3, 1, 1, 8, dtype=torch.bfloat16)] * 3).dtype == torch.float32


def test_forward_puts_channels_last():
    """Channel k of anchor a is channel a * (5 + C) + k of the convolution."""
    network = head()
    maps = [torch.randn(2, c, n, n + 1) for c, n in ((4, 4), (8, 2), (16, 1))]
    raw = network(maps)
    assert [tuple(y.shape) for y in raw] == [(2, 3, 4, 5, 8), (2, 3, 2, 3, 8), (2, 3, 1, 2, 8)]
    plain = network.predict[0](maps[0])
    torch.testing.assert_close(raw[0][1, 2, 3, 1], plain[1, 16:24, 3, 1])


def test_priors():
    """Before training objectness is about 8 in (640 / stride)^2 and classes about 0.6 / C."""
    network = head(classes=20)
    with torch.no_grad():
        raw = network([torch.zeros(1, c, 1, 1) for c in (4, 8, 16)])
    for y, stride in zip(raw, (8, 16, 32), strict=True):
        expected = logit(1 / ((640 / stride) ** 2 / 8 + 1))
        assert y[..., 4].mean().item() == pytest.approx(expected, abs=0.6)  # torch's own bias is within 1/sqrt(4)
        assert y[..., 5:].mean().item() == pytest.approx(math.log(0.6 / 19), abs=0.3)


def test_one_class_is_objectness_alone():
    network = head(classes=1)
    assert all(conv.bias.detach().view(3, 6)[:, 5].abs().max() <= 0.5 for conv in network.predict)
    decoded = network.decode([torch.randn(1, 3, 2, 2, 6)] * 3)
    assert (decoded[..., 5] == 1).all()
    assert decoded.shape[-1] == 6


def test_anchors_are_saved_and_are_a_copy():
    anchors = ANCHORS.float()
    network = AnchorHead((4, 8, 16), 2, anchors, (8, 16, 32))
    anchors += 1
    torch.testing.assert_close(network.state_dict()["anchors"], ANCHORS.float())
