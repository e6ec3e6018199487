"""Class losses against hand-computed numbers, torch, torchvision and limiting cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.ops import sigmoid_focal_loss

from ablab import registry, testing
from ablab.errors import ConfigError
from ablab.tasks.detection.losses.classification import targets_of

LOGITS = torch.linspace(-8, 8, 33, dtype=torch.float64)
NAMES = ["bce", "ce", "focal", "mse", "quality-focal", "varifocal"]
CHECKS = [check for name in NAMES for check in testing.checks("class_loss", name)]
TARGETS = torch.rand(33, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def make(name, **args):
    return registry.make(name, "class_loss", **args)


def smallest(loss, target):
    """The p at which a loss is smallest for a target."""
    logits = torch.linspace(-10, 10, 20001, dtype=torch.float64)
    return logits[loss(logits, torch.full_like(logits, target)).argmin()].sigmoid().item()


def test_the_slot_is_filled():
    assert registry.names("class_loss") == NAMES


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_class_loss_keeps_the_contract(check):
    check()


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


def test_focal_is_not_smallest_at_a_soft_target():
    assert smallest(make("focal"), 0.8) == pytest.approx(0.953, abs=1e-3)


@pytest.mark.parametrize("name", ["bce", "mse", "quality-focal", "varifocal"])
@pytest.mark.parametrize("target", [0.1, 0.5, 0.8])
def test_these_are_smallest_at_their_target(name, target):
    assert smallest(make(name), target) == pytest.approx(target, abs=1e-3)


def test_quality_focal_by_hand():
    """p = 0.75: |p - t|^2 times the cross-entropy."""
    loss = make("quality-focal")(torch.tensor([math.log(3)] * 2), torch.tensor([0.5, 1.0]))
    half = -(math.log(0.75) + math.log(0.25)) / 2
    torch.testing.assert_close(loss, torch.tensor([0.0625 * half, 0.0625 * -math.log(0.75)]))


@given(gamma=st.floats(0, 5))
def test_quality_focal_of_yes_and_no_is_torchvisions_focal(gamma):
    sure = TARGETS.round()
    expected = sigmoid_focal_loss(LOGITS, sure, -1, gamma)
    torch.testing.assert_close(make("quality-focal", beta=gamma)(LOGITS, sure), expected)


def test_quality_focal_with_beta_0_is_bce():
    torch.testing.assert_close(make("quality-focal", beta=0.0)(LOGITS, TARGETS), make("bce")(LOGITS, TARGETS))


def test_varifocal_by_hand():
    """p = 0.75: a target of 0.5 halves the cross-entropy; none weighs 0.75 * 0.75^2."""
    loss = make("varifocal")(torch.tensor([math.log(3)] * 2), torch.tensor([0.5, 0.0]))
    half = -(math.log(0.75) + math.log(0.25)) / 2
    torch.testing.assert_close(loss, torch.tensor([0.5 * half, 0.75**3 * -math.log(0.25)]))


@given(gamma=st.floats(0, 5))
def test_varifocals_negatives_are_torchvisions_focals(gamma):
    none = torch.zeros_like(LOGITS)
    expected = sigmoid_focal_loss(LOGITS, none, 0.25, gamma)  # negatives weigh 1 - alpha there
    torch.testing.assert_close(make("varifocal", gamma=gamma)(LOGITS, none), expected)


@given(smoothing=st.floats(0, 0.99))
def test_ce_is_torchs(smoothing):
    logits, labels = LOGITS.view(11, 3), torch.arange(11) % 3
    expected = cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    loss = make("ce", smoothing=smoothing)(logits, torch.eye(3, dtype=torch.float64)[labels])
    torch.testing.assert_close(loss.sum(dim=1), expected)


def test_ce_does_not_see_a_shift_of_all_logits():
    targets = TARGETS.view(11, 3)
    torch.testing.assert_close(
        make("ce")(LOGITS.view(11, 3) + 5, targets), make("ce")(LOGITS.view(11, 3), targets), rtol=1e-9, atol=1e-9
    )


def test_mse_barely_pulls_where_it_is_all_wrong():
    logits = torch.linspace(-10, 10, 100001, dtype=torch.float64).requires_grad_()
    targets = torch.ones_like(logits)
    squared, entropy = (torch.autograd.grad(make(n)(logits, targets).sum(), logits)[0].abs() for n in ("mse", "bce"))
    assert squared[0].item() == pytest.approx(9.08e-5, rel=1e-3)
    assert entropy[0].item() == pytest.approx(1, rel=1e-4)
    assert squared.max().item() == pytest.approx(8 / 27, rel=1e-6)


FAR = [(name, {}) for name in NAMES] + [
    ("focal", {"gamma": 0.0}),
    ("focal", {"gamma": 0.5}),
    ("focal", {"alpha": 0.25}),
    ("quality-focal", {"beta": 0.5}),
    ("varifocal", {"gamma": 0.5}),
]


@pytest.mark.parametrize(("name", "args"), FAR)
def test_finite_far_out_and_where_it_is_right(name, args):
    """A power below 1 has an infinite slope at 0."""
    logits = torch.tensor([-1e4, -100, 0, 100, 1e4] * 3, requires_grad=True)
    loss = make(name, **args)(logits, torch.tensor([0.0] * 5 + [1.0] * 5 + [0.5] * 5))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("focal", {"gamma": -1.0}),
        ("focal", {"alpha": 1.5}),
        ("quality-focal", {"beta": -1.0}),
        ("varifocal", {"alpha": -1.0}),
        ("varifocal", {"gamma": -1.0}),
        ("ce", {"smoothing": 1.0}),
    ],
)
def test_senseless_arguments_are_refused(name, args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        make(name, **args)
