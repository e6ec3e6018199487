"""The distribution focal loss against numbers by hand, torch and limiting cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ablab import registry


def dfl(logits, distances):
    return registry.make("dfl", "distribution_loss")(logits, distances)


def side(values, distance):
    """The same logits and the same distance on all four sides."""
    return dfl(torch.tensor(values).log().expand(1, 4, -1), torch.full((1, 4), distance)).item()


def test_between_two_bins_by_hand():
    """S = (0.1, 0.5, 0.3, 0.1), y = 1.25: -(0.75 ln 0.5 + 0.25 ln 0.3)."""
    assert side([0.1, 0.5, 0.3, 0.1], 1.25) == pytest.approx(-(0.75 * math.log(0.5) + 0.25 * math.log(0.3)), rel=1e-6)


@pytest.mark.parametrize(("distance", "share"), [(-3.0, 0.1), (0.0, 0.1), (3.0, 0.2), (9.0, 0.2)])
def test_at_and_beyond_the_ends(distance, share):
    assert side([0.1, 0.5, 0.2, 0.2], distance) == pytest.approx(-math.log(share), rel=1e-6)


@given(bins=st.integers(2, 12), data=st.data())
def test_at_a_bin_it_is_cross_entropy(bins, data):
    at = torch.tensor([data.draw(st.lists(st.integers(0, bins - 1), min_size=4, max_size=4)) for _ in range(3)])
    logits = torch.randn(3, 4, bins, generator=torch.Generator().manual_seed(bins))
    expected = cross_entropy(logits.view(12, bins), at.view(12), reduction="none").view(3, 4).mean(dim=1)
    torch.testing.assert_close(dfl(logits, at.float()), expected)


def test_the_best_distribution_has_the_distance_as_its_mean():
    """Gradient descent on the loss alone ends where the mean over bins is the distance (equation 6)."""
    logits = torch.zeros(1, 4, 6, requires_grad=True)
    distances = torch.tensor([[0.0, 1.3, 2.5, 4.9]])
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        dfl(logits, distances).sum().backward()
        optimizer.step()
    mean = (logits.softmax(dim=-1) * torch.arange(6)).sum(dim=-1)
    torch.testing.assert_close(mean, distances, atol=0.02, rtol=0)


def test_gradient_is_right():
    logits = torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    distances = torch.tensor([[0.2, 1.7, 3.0, 3.9]] * 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: dfl(x, distances), logits)
