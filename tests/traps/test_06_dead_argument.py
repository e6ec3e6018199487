"""Trap 6: a declared hyper-parameter is overridden inside (an ECA that ignores kernel_size, knowing the channels)."""

import pytest
from timm.layers.eca import EcaModule
from torch import nn

from ablab import testing
from ablab.errors import ContractError
from ablab.parts.attention import ECA
from ablab.registry import Entry
from ablab.surgery import contract


class DeafECA(EcaModule):
    """timm's module as one would naively register it."""

    def __init__(self, channels: int, kernel_size: int = 3):
        super().__init__(channels, kernel_size)


def test_the_naive_eca_is_caught():
    assert DeafECA(64, kernel_size=9).conv.kernel_size == DeafECA(64, kernel_size=3).conv.kernel_size
    with pytest.raises(ContractError, match="its argument 'kernel_size' changes nothing"):
        contract.check(Entry("attention", "deaf", DeafECA))


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 9])
def test_ours_listens(kernel_size):
    assert ECA(64, kernel_size=kernel_size).conv.kernel_size == (kernel_size,)
    testing.check_part("attention", "eca")


def test_an_argument_that_only_acts_in_training_or_on_the_state_counts():
    class Late(nn.Module):
        def __init__(self, momentum: float = 0.1):
            super().__init__()
            self.norm = nn.BatchNorm2d(64, momentum=momentum)

        def forward(self, x):
            return self.norm(x)

    contract.check(Entry("attention", "late", Late))
