"""Every optimizer against its formula, written out in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablab import registry, testing
from ablab.errors import ConfigError
from ablab.measure.seeding import forked

CHECKS = [check for name in registry.names("optimizer") for check in testing.checks("optimizer", name)]
LR, DECAY, STEPS = 0.03, 0.2, 7
Update = Callable[[Tensor, Tensor, int], Tensor]  # weight, gradient, step from 1 -> weight


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_optimizer_keeps_the_contract(check: Any) -> None:
    check()


def test_the_slot() -> None:
    assert registry.names("optimizer") == sorted(
        ["adagrad", "adam", "adamw", "lamb", "lbfgs", "lion", "nadam", "rmsprop", "sgd"]
    )


def test_each_says_in_one_line_what_it_does() -> None:
    for name in registry.names("optimizer"):
        entry = registry.get(name, "optimizer")
        assert (entry.build.__doc__ or "").splitlines()[0].strip(), name
        assert entry.paper.startswith("https://")


def sgd(momentum: float, nesterov: bool) -> Update:
    v: list[Tensor] = []

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        g = g + DECAY * w
        v[:] = [momentum * v[0] + g if v else g]
        return w - LR * (g + momentum * v[0] if nesterov else v[0])

    return update


def adagrad(lr_decay: float, initial: float) -> Update:
    s = [torch.full((3, 2), initial, dtype=torch.float64)]

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        g = g + DECAY * w
        s[0] = s[0] + g**2
        return w - LR / (1 + (t - 1) * lr_decay) * g / (s[0].sqrt() + 1e-10)

    return update


def rmsprop(momentum: float, centered: bool) -> Update:
    v, mean, buffer = (torch.zeros(3, 2, dtype=torch.float64) for _ in range(3))

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        nonlocal v, mean, buffer
        g = g + DECAY * w
        v, mean = 0.99 * v + 0.01 * g**2, 0.99 * mean + 0.01 * g
        scaled = g / ((v - mean**2 if centered else v).sqrt() + 1e-8)
        buffer = momentum * buffer + scaled
        return w - LR * buffer

    return update


def adam(coupled: bool, amsgrad: bool = False) -> Update:
    m, v, most = (torch.zeros(3, 2, dtype=torch.float64) for _ in range(3))

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        nonlocal m, v, most
        if coupled:
            g = g + DECAY * w
        else:
            w = w - LR * DECAY * w
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        most = torch.maximum(most, v)
        root = ((most if amsgrad else v) / (1 - 0.95**t)).sqrt()
        return w - LR * m / (1 - 0.8**t) / (root + 1e-8)

    return update


def nadam() -> Update:
    m, v = (torch.zeros(3, 2, dtype=torch.float64) for _ in range(2))

    def mu(t: int) -> float:
        return 0.8 * (1 - 0.5 * 0.96 ** (t * 0.004))

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        nonlocal m, v
        g = g + DECAY * w
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        so_far = math.prod(mu(i) for i in range(1, t + 1))
        ahead = mu(t + 1) * m / (1 - so_far * mu(t + 1)) + (1 - mu(t)) * g / (1 - so_far)
        return w - LR * ahead / ((v / (1 - 0.95**t)).sqrt() + 1e-8)

    return update


def lion() -> Update:
    m = torch.zeros(3, 2, dtype=torch.float64)

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        nonlocal m
        towards = (0.8 * m + 0.2 * g).sign()
        m = 0.95 * m + 0.05 * g
        return w - LR * (towards + DECAY * w)

    return update


def lamb(trust_clip: bool) -> Update:
    m, v = (torch.zeros(3, 2, dtype=torch.float64) for _ in range(2))

    def update(w: Tensor, g: Tensor, t: int) -> Tensor:
        nonlocal m, v
        g = g / max(1.0, float(g.norm()) / 0.7)
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        u = m / (1 - 0.8**t) / ((v / (1 - 0.95**t)).sqrt() + 1e-6) + DECAY * w
        ratio = float(w.norm() / u.norm())
        return w - LR * (min(ratio, 1.0) if trust_clip else ratio) * u

    return update


BETAS = {"momentum": 0.8, "beta2": 0.95}
FORMULAS: list[tuple[str, dict[str, Any], Update]] = [
    ("sgd", {}, sgd(0.9, True)),
    ("sgd", {"momentum": 0.7, "nesterov": False}, sgd(0.7, False)),
    ("sgd", {"momentum": 0.0}, sgd(0.0, False)),
    ("adagrad", {}, adagrad(0.0, 0.0)),
    ("adagrad", {"lr_decay": 0.3, "initial": 0.1}, adagrad(0.3, 0.1)),
    ("rmsprop", {}, rmsprop(0.0, False)),
    ("rmsprop", {"momentum": 0.6, "centered": True}, rmsprop(0.6, True)),
    ("adam", BETAS, adam(True)),
    ("adam", BETAS | {"amsgrad": True}, adam(True, True)),
    ("adamw", BETAS, adam(False)),
    ("adamw", BETAS | {"amsgrad": True}, adam(False, True)),
    ("nadam", BETAS, nadam()),
    ("lion", BETAS, lion()),
    ("lamb", BETAS | {"max_grad_norm": 0.7}, lamb(False)),
    ("lamb", BETAS | {"max_grad_norm": 0.7, "trust_clip": True}, lamb(True)),
]


@pytest.mark.parametrize(
    ("name", "args", "update"), FORMULAS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_formula(name: str, args: dict[str, Any], update: Update) -> None:
    """Gradients that come from nowhere, falling fast, so that amsgrad has a peak to remember."""
    with forked("optimizer", name):
        expected = torch.randn(3, 2, dtype=torch.float64)
        gradients = [torch.randn(3, 2, dtype=torch.float64) * 0.4**t for t in range(STEPS)]
    weight = nn.Parameter(expected.clone())
    made = registry.make(name, "optimizer", params=[{"params": [weight]}], lr=LR, weight_decay=DECAY, **args)
    for t, gradient in enumerate(gradients, start=1):
        weight.grad = gradient.clone()
        made.step()
        expected = update(expected, gradient, t)
        # torch keeps NAdam's product of momenta in float32
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-7, atol=1e-9)


def moved(name: str, gradient: float, decay: float = 0.0, steps: int = 1, start: float = 1.0, **args: Any) -> float:
    """How far one weight is moved against its gradient, in rates of 0.01."""
    weight = nn.Parameter(torch.tensor([[start]], dtype=torch.float64))
    made = registry.make(name, "optimizer", params=[{"params": [weight]}], lr=0.01, weight_decay=decay, **args)
    for _ in range(steps):
        weight.grad = torch.full_like(weight, gradient)
        made.step()
    return (start - weight.item()) / 0.01


def test_the_first_step_of_each_in_rates() -> None:
    """What the docstrings say: RMSprop begins ten times too far, Lion and Adam do not care for the gradient's size."""
    assert moved("rmsprop", 1e-3) == pytest.approx(10, rel=1e-3)
    assert moved("adam", 1e-3) == pytest.approx(1, rel=1e-3)
    assert moved("lion", 1e-12) == pytest.approx(1)
    assert moved("adagrad", 1e-3) == pytest.approx(1)
    assert moved("sgd", 0.5) == pytest.approx(0.5 * 1.9)


def test_equal_gradients_move_adagrad_ever_less() -> None:
    """The n-th step is 1 / sqrt(n) of the first."""
    steps = [moved("adagrad", 0.1, steps=n) for n in range(5)]
    assert [b - a for a, b in pairwise(steps)] == pytest.approx([1, 2**-0.5, 3**-0.5, 0.5])


def test_momentum_goes_one_over_one_minus_momentum_as_far() -> None:
    far = moved("sgd", 0.1, steps=400) - moved("sgd", 0.1, steps=399)
    assert far == pytest.approx(0.1 / (1 - 0.9), rel=1e-6)


def test_adam_decays_less_where_gradients_are_large_and_adamw_does_not() -> None:
    def decayed(name: str, gradient: float) -> float:
        """How much more a decay of 0.1 moves a weight of 1 in the second step than none does."""
        return moved(name, gradient, decay=0.1, steps=2) - moved(name, gradient, steps=2)

    assert decayed("adamw", 100) == pytest.approx(decayed("adamw", 1), rel=1e-2)
    assert decayed("adamw", 1) == pytest.approx(0.2, rel=0.02)
    assert abs(decayed("adam", 100)) < 0.01 * decayed("adamw", 100)


def test_nadams_momentum_is_half_at_first_and_near_its_own_after_24000_steps() -> None:
    def mu(t: int) -> float:
        return 1 - 0.5 * 0.96 ** (t * 0.004)

    assert mu(1) == pytest.approx(0.5, rel=1e-3)
    assert mu(23_000) < 0.99 < mu(24_200)


def test_lamb_is_adam_where_nothing_decays() -> None:
    """Unless always_adapt; gradients below max_grad_norm."""
    args = {"momentum": 0.9, "beta2": 0.999, "eps": 1e-6, "steps": 3}
    assert moved("lamb", 0.1, **args) == pytest.approx(moved("adam", 0.1, **args))
    assert moved("lamb", 0.1, start=5.0, always_adapt=True) == pytest.approx(5)


def rosenbrock(at: Tensor) -> Tensor:
    return (1 - at[0]) ** 2 + 100 * (at[1] - at[0] ** 2) ** 2


def test_lbfgs_finds_rosenbrocks_least_which_descent_does_not() -> None:
    """From (-1.2, 1), the classical start: 0 at (1, 1)."""
    at = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
    made = registry.make("lbfgs", "optimizer", params=[{"params": [at]}], lr=1.0)
    evaluations = 0

    def closure() -> Tensor:
        nonlocal evaluations
        evaluations += 1
        made.zero_grad()
        loss = rosenbrock(at)
        loss.backward()
        return loss

    for _ in range(3):
        made.step(closure)
    assert evaluations < 80
    assert at.tolist() == pytest.approx([1, 1], abs=1e-5)
    slow = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
    plain = registry.make("sgd", "optimizer", params=[{"params": [slow]}], lr=1e-3, weight_decay=0.0, momentum=0.0)
    for _ in range(80):
        plain.zero_grad()
        rosenbrock(slow).backward()
        plain.step()
    assert rosenbrock(slow) > 1


def test_lbfgs_goes_through_weights_in_channels_last() -> None:
    ends = []
    for layout in (torch.contiguous_format, torch.channels_last):
        with forked("lbfgs"):
            conv, x = nn.Conv2d(3, 4, 3).to(memory_format=layout), torch.randn(2, 3, 8, 8)
        made = registry.make("lbfgs", "optimizer", params=[{"params": list(conv.parameters())}], lr=1.0, max_iter=3)

        def closure(conv: nn.Conv2d = conv, made: Any = made, x: Tensor = x) -> Tensor:
            made.zero_grad()
            loss = (conv(x) - 1).square().mean()
            loss.backward()
            return loss

        made.step(closure)
        ends.append(conv.weight.detach().contiguous())
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-5)


def test_lbfgs_has_one_group() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(2))]} for _ in range(2)]
    with pytest.raises(ConfigError, match="by one rate, got 2 groups"):
        registry.make("lbfgs", "optimizer", params=groups, lr=1.0)
