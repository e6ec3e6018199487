import math

import pytest
import torch
from torch import nn

from ablab.engine.ema import EMA


def test_two_steps_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    ema = EMA(model, decay=0.9, tau=2.0)
    first, second = (0.9 * (1 - math.exp(-step / 2)) for step in (1, 2))
    nn.init.constant_(model.weight, 3.0)
    ema.update()
    expected = first * 1 + (1 - first) * 3
    assert ema.model.weight.item() == pytest.approx(expected, rel=1e-6)
    nn.init.constant_(model.weight, -2.0)
    ema.update()
    assert ema.model.weight.item() == pytest.approx(second * expected + (1 - second) * -2, rel=1e-6)
    assert model.weight.item() == -2


def test_buffers_are_averaged_integers_copied_and_infinities_survive() -> None:
    model = nn.BatchNorm1d(2)
    model.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    ema = EMA(model, decay=0.5, tau=1e-9)  # a decay of 0.5 from the first step on
    model(torch.tensor([[0.0, 2.0], [2.0, 6.0]]))  # running mean becomes 0.1 * (1, 4)
    ema.update()
    assert ema.model.running_mean.tolist() == pytest.approx([0.05, 0.2])
    assert ema.model.num_batches_tracked.item() == 1
    assert ema.model.mask.tolist() == [0.0, float("-inf")]


def test_a_shared_parameter_moves_once_and_a_replaced_buffer_is_seen() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    model.register_buffer("seen", torch.zeros(1))
    ema = EMA(model, decay=0.5, tau=1e-9)
    before = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight += 1
    model.seen = torch.ones(1)
    ema.update()
    torch.testing.assert_close(ema.model[0].weight, before + 0.5)
    assert ema.model[1].weight is ema.model[0].weight
    assert ema.model.seen.item() == 0.5
