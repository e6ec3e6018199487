"""Trap 9: a recursive convert turns one shared module with parameters into two."""

import pytest
import torch
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


class Tied(nn.Module):
    """One PReLU under two names, called three times."""

    def __init__(self, width=4):
        super().__init__()
        act = nn.PReLU()
        self.one = nn.Sequential(nn.Conv2d(4, 4, 1), act)
        self.two = nn.Sequential(nn.Conv2d(4, width, 1), act)

    def forward(self, x):
        return self.two(self.one(self.one(x)))


def test_one_shared_module_with_parameters_stays_one():
    edited, report = surgery.apply(Tied(), [surgery.replace(of="PReLU", part="frelu", expect=1)], X)
    assert edited.one[1] is edited.two[1]
    assert report.parameters == 11 * 4 - 1
    assert (
        sum(p.numel() for p in edited.parameters()) == sum(p.numel() for p in Tied().parameters()) + report.parameters
    )


def test_an_insert_behind_it_is_shared_too():
    edited, _ = surgery.apply(Tied(), [surgery.insert(after="PReLU", part="se", expect=1)], X)
    assert edited.one[1] is edited.two[1]
    assert edited.one[1].host is edited.two[1].host


def test_its_calls_must_be_of_one_width():
    with pytest.raises(SurgeryError, match=r"one number of channels.*\(2, 4, 6, 6\), \(2, 6, 6, 6\)"):
        surgery.apply(Tied(width=6), [surgery.replace(of="PReLU", part="frelu")], X)
    edited, _ = surgery.apply(Tied(width=6), [surgery.replace(of="PReLU", part="silu")], X)
    assert edited.one[1] is edited.two[1]


def test_it_is_not_cut_in_two_by_a_narrow_edit():
    with pytest.raises(SurgeryError, match=r"shared on purpose, with its parameters, with two\.1; select all"):
        surgery.apply(Tied(), [surgery.replace(of="PReLU", part="frelu", within="one")], X)


def test_tied_weights_elsewhere_stay_tied():
    network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1))
    network[2].weight = network[0].weight
    edited, _ = surgery.apply(network, [surgery.replace(of="silu", part="frelu")], X)
    assert edited[0].weight is edited[2].weight
    assert edited[0].weight is not network[0].weight
