"""Dropout before batch norm is found by what reaches what, and sized by its noise."""

import pytest
import torch
from timm.layers import LayerNorm2d
from torch import nn
from torchvision.models import densenet121, vgg11_bn
from torchvision.ops import FrozenBatchNorm2d

from ablab.parts.dropout import GaussianDropout, UniformDropout
from ablab.surgery.variance_shift import variance_shifts

X = torch.linspace(-2, 2, 2 * 8 * 6 * 6).sin().reshape(2, 8, 6, 6)


def chain(*modules):
    return nn.Sequential(*modules)


def found(model, example=X):
    return [(shift.dropout, shift.norms) for shift in variance_shifts(model, example)]


def test_dropout_before_batch_norm_is_found_with_its_rise():
    (shift,) = variance_shifts(chain(nn.Dropout(0.5), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.BatchNorm2d(8)), X)
    assert (shift.dropout, shift.norms) == ("0", ("3",))
    assert shift.rise == pytest.approx(2, rel=0.01)  # 1 / (1 - p)
    assert str(shift).startswith("0 stands before the batch norm 3: in training its noise raises the mean square")


def test_the_rise_is_what_the_norm_takes_in():
    """The running variance, learnt with the noise on a map with mean 0, against that of evaluation."""
    torch.manual_seed(0)
    model = chain(nn.Dropout(0.5), nn.BatchNorm2d(8, momentum=None, affine=False))
    example = torch.randn(64, 8, 8, 8)
    (shift,) = variance_shifts(model, example)
    model.train()
    for _ in range(20):
        model(example)
    true = example.var((0, 2, 3))
    torch.testing.assert_close(model[1].running_var / true, torch.full((8,), shift.rise), rtol=0.05, atol=0)


@pytest.mark.parametrize(
    "between", [nn.GroupNorm(2, 8), LayerNorm2d(8), nn.InstanceNorm2d(8), nn.BatchNorm2d(8, track_running_stats=False)]
)
def test_another_norm_in_between_takes_the_noise_away(between):
    assert found(chain(nn.Dropout(0.5), between, nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))) == []


def test_the_first_batch_norm_is_named_and_not_those_behind_it():
    model = chain(nn.Dropout(0.5), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
    assert found(model) == [("0", ("1",))]


def test_a_frozen_batch_norm_learns_nothing_and_hides_nothing():
    assert found(chain(nn.Dropout(0.5), FrozenBatchNorm2d(8))) == []
    assert found(chain(nn.Dropout(0.5), FrozenBatchNorm2d(8), nn.BatchNorm2d(8))) == [("0", ("2",))]


def test_dropout_behind_the_last_batch_norm_is_well():
    assert found(chain(nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(8, 8, 1))) == []


class Branches(nn.Module):
    """The dropout is called before the norm, and lies beside it."""

    def __init__(self, joined):
        super().__init__()
        self.joined = joined
        self.drop, self.norm = nn.Dropout2d(0.3), nn.BatchNorm2d(8)

    def forward(self, x):
        left = self.drop(x)
        return left, self.norm(x + left if self.joined else x)


def test_the_order_of_calls_does_not_decide():
    assert found(Branches(joined=False)) == []
    assert found(Branches(joined=True)) == [("drop", ("norm",))]


def test_little_noise_is_no_shift():
    """Uniform dropout with beta 0.1 raises the mean square by a third of a percent: the paper's remedy."""
    assert found(chain(UniformDropout(), nn.BatchNorm2d(8))) == []
    assert found(chain(nn.Dropout(0.0), nn.BatchNorm2d(8))) == []
    assert found(chain(UniformDropout(1.0), GaussianDropout(0.5), nn.BatchNorm2d(8))) == [("0", ("2",)), ("1", ("2",))]


def test_one_dropout_in_several_places_counts_once():
    drop = nn.Dropout(0.5)
    model = chain(drop, nn.BatchNorm2d(8), drop, nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
    (shift,) = variance_shifts(model, X)
    assert shift.norms == ("1", "4")
    assert "the batch norm 1 and 1 more: in training" in str(shift)


def test_networks_as_published():
    """VGG drops in its classifier, behind all norms; this DenseNet as its paper does, by F.dropout, which is unseen."""
    example = torch.rand(1, 3, 64, 64)
    assert found(vgg11_bn(), example) == []
    assert found(densenet121(drop_rate=0.2), example) == []


def test_the_model_stands_as_it_stood():
    model = chain(nn.Dropout(0.5), nn.BatchNorm2d(8)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    variance_shifts(model, X)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model[0]._forward_hooks
