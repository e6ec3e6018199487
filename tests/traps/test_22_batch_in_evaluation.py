"""Trap 22: a module in eval mode depends on its batch."""

import pytest
import torch
from torch import nn

from ablab import registry, testing
from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery import contract


class BatchGate(nn.Module):
    """A gate that reads the mean over the batch: neighbours leak in."""

    def forward(self, x):
        return x * x.mean(dim=(0, 2, 3), keepdim=True).sigmoid()


def test_a_part_that_looks_at_its_neighbours_is_caught():
    with pytest.raises(ContractError, match=r"one sample does not depend on its batch\? No: .* use running statistics"):
        contract.check(Entry("attention", "leaky", BatchGate))


@pytest.mark.parametrize("slot", ["activation", "attention"])
def test_none_of_ours_does(slot):
    for name in registry.names(slot):
        (check,) = [c for c in testing.checks(slot, name) if "batch" in str(c)]
        check()


def test_batch_norm_in_evaluation_is_no_leak():
    contract.check(Entry("attention", "norm", lambda channels: nn.BatchNorm2d(channels)))
    assert torch.is_grad_enabled()
