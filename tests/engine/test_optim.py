import copy

import pytest
import torch
from torch import nn

from ablab.engine.optim import clip, optimizer
from ablab.errors import ConfigError
from ablab.recipe import OptimizerRecipe


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def test_adamw_first_step_by_hand() -> None:
    """m / sqrt(v) is the gradient's sign in the first step, after decay shrank the weight by lr * decay."""
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 2.0)
    made = optimizer(model, OptimizerRecipe(name="adamw", lr=0.1, weight_decay=0.5))
    model(torch.ones(1, 1)).sum().backward()
    made.step()
    assert model.weight.item() == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1, rel=1e-5)
    assert model.bias.item() == pytest.approx(2 - 0.1, rel=1e-5)  # one dimension: no decay


def test_sgd_nesterov_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    made = optimizer(model, OptimizerRecipe(name="sgd", lr=0.1, momentum=0.9, weight_decay=0))
    for expected in (1 - 0.1 * 1.9, 1 - 0.1 * 1.9 - 0.1 * (1 + 0.9 * 1.9)):  # g + m * v; v = 1, then 1.9
        model.zero_grad()
        model(torch.ones(1, 1)).sum().backward()
        made.step()
        assert model.weight.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_channels_last_weights_move_as_contiguous_ones_do(name: str) -> None:
    """The fused kernels walk over memory; weight and gradient must lie in it alike."""
    plain = network()
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    x = torch.randn(5, 3, 4, 4)
    for model in (plain, last):
        made = optimizer(model, OptimizerRecipe(name=name, lr=0.05))
        for _ in range(3):
            model.zero_grad()
            model(x).square().mean().backward()
            made.step()
    assert last[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last[0].weight, plain[0].weight, rtol=1e-4, atol=1e-5)


def test_clip_scales_to_the_norm_and_returns_the_one_before() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    made = optimizer(model, OptimizerRecipe())
    assert clip(made, None).item() == pytest.approx(5)
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    assert clip(made, 1.0).item() == pytest.approx(5)
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.8]]), rtol=1e-5, atol=0)


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no trainable parameter"):
        optimizer(network().requires_grad_(False), OptimizerRecipe())
