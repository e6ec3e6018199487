"""Trap 4: one activation instance is shared by all layers: a PReLU in three convs is one parameter."""

import pytest
import torch
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SINGLE = nn.PReLU()


def single():
    """A factory that hands out one instance."""
    return SINGLE


class SharesAParameter(nn.Module):
    """A new module each time, around one parameter."""

    def __init__(self):
        super().__init__()
        self.slope = SINGLE.weight

    def forward(self, x):
        return torch.maximum(x, self.slope * x)


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1), nn.SiLU())


def test_each_site_gets_parameters_of_its_own():
    edited, report = surgery.apply(network(), [surgery.replace(of="silu", part="torch.nn:PReLU", expect=3)], X)
    slopes = [module.weight for module in edited if isinstance(module, nn.PReLU)]
    assert len({id(slope) for slope in slopes}) == len({slope.data_ptr() for slope in slopes}) == 3
    assert report.parameters == 3


@pytest.mark.parametrize("part", ["single", "SharesAParameter"])
def test_a_factory_that_shares_is_refused(part):
    with pytest.raises(SurgeryError, match="gives the same module or parameter to several sites"):
        surgery.apply(network(), [surgery.replace(of="silu", part=f"{__name__}:{part}")], X)


def test_a_factory_that_shares_is_refused_among_the_calls_of_one_module():
    act = nn.SiLU()
    shared = nn.Sequential(nn.Conv2d(3, 4, 1), act, nn.Conv2d(4, 4, 1), act)
    with pytest.raises(SurgeryError, match="gives the same module or parameter to several sites"):
        surgery.apply(shared, [surgery.replace(of="silu", part=f"{__name__}:single")], X)
