"""A weight that starts at 0 is forgiven where the first step opens the way to what lies behind it."""

import pytest
from torch import nn

from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery.contract import checks


class Branch(nn.Module):
    """x + second(first(x)), of which so many start at 0."""

    def __init__(self, channels: int, zeros: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1, bias=False)
        self.second = nn.Conv2d(channels, channels, 1, bias=False)
        for conv in (self.second, self.first)[:zeros]:
            nn.init.zeros_(conv.weight)

    def forward(self, x):
        return x + self.second(self.first(x))


class Shut(Branch):
    def __init__(self, channels: int) -> None:
        super().__init__(channels, zeros=2)


def gradient(build):
    return next(one for one in checks(Entry("attention", "branch", build)) if "gradient reaches" in str(one))


def test_a_branch_whose_last_weight_starts_at_zero_learns():
    gradient(Branch)()


def test_two_zeros_in_a_row_never_learn():
    with pytest.raises(ContractError, match=r"no gradient reaches first\.weight, second\.weight"):
        gradient(Shut)()
