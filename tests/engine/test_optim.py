import copy

import pytest
import torch
from torch import nn

from ablab.engine.optim import clip, optimizer, restore, set_rate, state
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


def test_sgd_moves_what_has_a_gradient_later_like_what_had_one_from_the_start() -> None:
    """Against torch's own, unfused, whose momentum begins with the first gradient."""
    ours, theirs = network(), network()
    made = optimizer(ours, OptimizerRecipe(name="sgd", lr=0.1, momentum=0.9, weight_decay=0))
    plain = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, foreach=False)
    x = torch.randn(5, 3, 4, 4)
    for step in range(4):
        for model, each in ((ours, made), (theirs, plain)):
            model[0].requires_grad_(step > 1)
            each.zero_grad()
            model(x).square().mean().backward()
            each.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_rates_make_groups_that_are_complete_and_carry_their_factor() -> None:
    model = network()
    made = optimizer(model, OptimizerRecipe(lr=0.1, weight_decay=0.2, rates={"3.*": 10.0, "*.bias": 0.5}))
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        (group["factor"], group["weight_decay"]): {names[id(p)] for p in group["params"]} for group in made.param_groups
    }
    assert found == {
        (1.0, 0.2): {"0.weight"},
        (1.0, 0.0): {"1.weight"},
        (10.0, 0.2): {"3.weight"},
        (10.0, 0.0): {"3.bias"},
        (0.5, 0.0): {"0.bias", "1.bias"},
    }
    set_rate(made, 0.01)
    assert sorted({group["lr"] for group in made.param_groups}) == pytest.approx([0.005, 0.01, 0.1])


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"4.*": 0.1}, r"optimizer\.rates: '4\.\*' matches no parameter's name; did you mean"),
        ({"3.*": 0.1, "3.bias": 0.2}, r"'3\.bias' would do nothing: globs before it match all"),
    ],
)
def test_a_rate_that_would_do_nothing_is_refused(rates: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        optimizer(network(), OptimizerRecipe(rates=rates))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_what_it_remembers_goes_to_another_in_the_same_layout(name: str) -> None:
    """One that goes on moves the weights to the same bits, channels_last ones included."""
    x = torch.randn(5, 3, 4, 4)

    def step(model: nn.Module, made: torch.optim.Optimizer) -> None:
        model.zero_grad()
        model(x).square().mean().backward()
        made.step()

    first = network().to(memory_format=torch.channels_last)
    one = optimizer(first, OptimizerRecipe(name=name, lr=0.05))
    for _ in range(3):
        step(first, one)
    second = copy.deepcopy(first)
    other = optimizer(second, OptimizerRecipe(name=name, lr=0.05))
    tensors, plain = state(one, first)
    restore(other, second, {key: value.clone().contiguous() for key, value in tensors.items()}, plain)
    weight = second[0].weight
    tensors = [value for value in other.state[weight].values() if value.dim()]
    assert tensors
    assert all(value.stride() == weight.stride() for value in tensors)
    step(first, one)
    step(second, other)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_state_of_another_network_is_refused_before_anything_changes() -> None:
    model = network()
    made = optimizer(model, OptimizerRecipe(name="adamw"))
    for wrong in ({"exp_avg/9.weight": torch.zeros(4)}, {"exp_avg/3.bias": torch.zeros(3)}):
        with pytest.raises(ConfigError, match="does not fit the network"):
            restore(made, model, {"exp_avg/3.weight": torch.zeros(2, 16)} | wrong, {})
    assert not made.state
