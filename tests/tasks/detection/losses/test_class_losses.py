"""Class losses against hand-computed numbers, torch, torchvision and limiting cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import sigmoid_focal_loss

from ablab import registry
from ablab.errors import ConfigError
from ablab.tasks.detection.losses.classification import targets_of

LOGITS = torch.linspace(-8, 8, 33, dtype=torch.float64)
TARGETS = torch.rand(33, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def make(name, **args):
    return registry.make(name, "class_loss", **args)


def test_the_slot_is_filled():
    assert registry.names("class_loss") == ["bce", "focal"]


def test_bce_is_torchs():
    expected = binary_cross_entropy_with_logits(LOGITS, TARGETS, reduction="none")
    torch.testing.assert_close(make("bce")(LOGITS, TARGETS), expected)


def test_smoothed_targets_by_hand():
    """At s = 0.2 the target 1 becomes 0.9 and 0 becomes 0.1; a score of 0.5 becomes 0.5."""
    labels = torch.tensor([2, 0])
    expected = torch.tensor([[0.1, 0.1, 0.9], [0.9, 0.1, 0.1]])
    torch.testing.assert_close(targets_of(labels, 3, 0.2), expected)
    scored = targets_of(labels, 3, 0.2, torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(scored, torch.tensor([[0.1, 0.1, 0.5], [0.9, 0.1, 0.1]]))


def test_smoothing_moves_the_optimum_off_certainty():
    logits = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    targets = targets_of(torch.zeros(2001).long(), 1, 0.1)[:, 0].double()
    for loss in (make("bce"), make("focal", gamma=0.0)):
        best = logits[loss(logits, targets).argmin()]
        assert best.sigmoid().item() == pytest.approx(0.95, abs=1e-3)


def test_focal_by_hand():
    """p = 0.75: a positive costs 0.25^2 * -ln 0.75, a negative 0.75^2 * -ln 0.25."""
    loss = make("focal")(torch.tensor([math.log(3)] * 2), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(loss, torch.tensor([0.0625 * -math.log(0.75), 0.5625 * -math.log(0.25)]))


def test_focal_with_gamma_0_is_bce():
    torch.testing.assert_close(make("focal", gamma=0.0)(LOGITS, TARGETS), make("bce")(LOGITS, TARGETS))


@given(gamma=st.floats(0, 5), alpha=st.none() | st.floats(0, 1))
def test_focal_is_torchvisions(gamma, alpha):
    expected = sigmoid_focal_loss(LOGITS, TARGETS, -1 if alpha is None else alpha, gamma)
    torch.testing.assert_close(make("focal", gamma=gamma, alpha=alpha)(LOGITS, TARGETS), expected)


@pytest.mark.parametrize("args", [{"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 2.0, "alpha": 0.25}])
def test_focal_is_finite_far_out(args):
    logits = torch.tensor([-1e4, -100, 0, 100, 1e4] * 2, requires_grad=True)
    loss = make("focal", **args)(logits, torch.tensor([0.0] * 5 + [1.0] * 5))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("name", "args"), [("focal", {"gamma": 1.0}), ("focal", {"alpha": 0.4})])
def test_every_argument_changes_the_output(name, args):
    assert not torch.allclose(make(name, **args)(LOGITS, TARGETS), make(name)(LOGITS, TARGETS))


@pytest.mark.parametrize(("name", "args"), [("focal", {"gamma": -1.0}), ("focal", {"alpha": 1.5})])
def test_senseless_arguments_are_refused(name, args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        make(name, **args)


@pytest.mark.parametrize("name", ["bce", "focal"])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 3, 4)])
def test_shape_is_kept(name, shape):
    logits = torch.zeros(shape, requires_grad=True)
    loss = make(name)(logits, torch.zeros(shape))
    assert loss.shape == shape
    assert loss.requires_grad
