"""Trap 5: new learnable parts are missing from the optimizer, or a swapped norm gets weight decay."""

import pytest
import torch
from torch import nn

from ablab.engine.optim import groups, optimizer, verify
from ablab.errors import RunError
from ablab.recipe import OptimizerRecipe


class Scale(nn.Module):
    """A part that no list of known module types could foresee."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(4))
        self.mix = nn.Parameter(torch.ones(4, 4))
        self.temperature = nn.Parameter(torch.tensor(1.0))


def operated() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.PReLU(4), nn.Linear(4, 4), nn.Linear(4, 4), Scale()
    )
    model[4].weight = model[3].weight  # shared
    model[0].bias.requires_grad_(False)  # frozen
    return model


def test_groups_are_complete_and_disjoint_and_decay_by_dimension() -> None:
    model = operated()
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, plain = ([names[id(p)] for p in group["params"]] for group in groups(model, 0.1))
    assert sorted(decayed) == ["0.weight", "3.weight", "5.mix"]
    assert sorted(plain) == ["1.bias", "1.weight", "2.weight", "3.bias", "4.bias", "5.beta", "5.temperature"]
    assert [group["weight_decay"] for group in groups(model, 0.1)] == [0.1, 0.0]


def test_a_part_grafted_after_the_optimizer_was_built_is_found_missing() -> None:
    model = operated()
    made = optimizer(model, OptimizerRecipe())
    verify(made, model)
    model[2] = nn.PReLU(4)
    with pytest.raises(RunError, match=r"missing \['2\.weight'\].*not of this network 1"):
        verify(made, model)


def test_a_parameter_held_twice_is_found() -> None:
    model = nn.Linear(2, 2)
    made = torch.optim.SGD([{"params": [model.weight, model.bias]}], lr=1.0)
    made.param_groups.append({"params": [model.bias]})
    with pytest.raises(RunError, match=r"twice \['bias'\]"):
        verify(made, model)
