from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from ablab.config import override, parse
from ablab.engine.schedule import ONE_CYCLE_START, factor
from ablab.errors import ConfigError
from ablab.recipe import ScheduleRecipe

NAMES = ["cosine", "linear", "constant", "step", "one-cycle", "warm-restart"]


def ours(steps: int, **settings: Any) -> list[float]:
    return [factor(step, steps, ScheduleRecipe(**settings)) for step in range(steps)]


def torchs(steps: int, make: Any) -> list[float]:
    """The rates of a scheduler of torch over a peak of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_hand_values() -> None:
    cosine = ScheduleRecipe(warmup=0.2, final=0.1)  # of 10 steps: 2 of warm-up, then cos over steps 2..9
    third = 0.1 + 0.9 * (1 + 0.7071067811865476) / 2  # cos(pi / 4) would be step 2 + 7 / 4; below with 9 steps
    assert factor(0, 10, cosine) == pytest.approx(1 / 3)
    assert factor(1, 10, cosine) == pytest.approx(2 / 3)
    assert factor(2, 10, cosine) == 1
    assert factor(9, 10, cosine) == pytest.approx(0.1)
    no_warmup = ScheduleRecipe(warmup=0, final=0.1)
    assert factor(0, 9, no_warmup) == 1
    assert factor(2, 9, no_warmup) == pytest.approx(third)  # a quarter of the way
    assert factor(4, 9, no_warmup) == pytest.approx(0.55)  # half-way
    assert factor(8, 9, no_warmup) == pytest.approx(0.1)


def test_constant_stays_at_the_peak_after_warmup() -> None:
    constant = ScheduleRecipe(name="constant", warmup=0.5)
    assert [factor(s, 4, constant) for s in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_linear_by_hand() -> None:
    assert ours(5, name="linear", warmup=0, final=0.2) == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


def test_warm_restarts_by_hand() -> None:
    """Of seven steps two cycles, the second 2.5 times as long: two steps and five."""
    half, fifth = 0.5, 0.9045084971874737  # (1 + cos(pi / 5)) / 2
    found = ours(7, name="warm-restart", warmup=0, final=0, cycles=2, growth=2.5)
    assert found[:4] == pytest.approx([1, half, 1, fifth])


@pytest.mark.parametrize("growth", [1, 2])
def test_warm_restarts_are_torchs(growth: int) -> None:
    """Three cycles of 10, or of 10, 20 and 40."""
    steps = 10 * (3 if growth == 1 else 7)
    theirs = torchs(steps, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=growth, eta_min=0.05))
    assert ours(steps, name="warm-restart", warmup=0, final=0.05, cycles=3, growth=growth) == pytest.approx(theirs)


def test_steps_are_torchs() -> None:
    theirs = torchs(50, lambda o: lr_scheduler.MultiStepLR(o, milestones=[20, 45], gamma=0.3))
    assert ours(50, name="step", warmup=0, milestones=(0.4, 0.9), factor=0.3) == pytest.approx(theirs)
    even = torchs(40, lambda o: lr_scheduler.StepLR(o, step_size=10, gamma=0.5))
    assert ours(40, name="step", warmup=0, milestones=(0.25, 0.5, 0.75), factor=0.5) == pytest.approx(even)


def test_linear_and_warmup_are_torchs() -> None:
    theirs = torchs(31, lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=30))
    assert ours(31, name="linear", warmup=0, final=0.1) == pytest.approx(theirs)
    rise = torchs(20, lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 6, end_factor=1.0, total_iters=5))
    assert ours(20, name="constant", warmup=0.25) == pytest.approx(rise)


def test_cosine_is_torchs() -> None:
    theirs = torchs(41, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=40, eta_min=0.02))
    assert ours(41, name="cosine", warmup=0, final=0.02) == pytest.approx(theirs)


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.3), (40, 0.25), (50, 0.1)])
def test_one_cycle_is_torchs(steps: int, warmup: float) -> None:
    final = 0.004
    theirs = torchs(
        steps,
        lambda o: lr_scheduler.OneCycleLR(
            o,
            max_lr=1.0,
            total_steps=steps,
            pct_start=warmup,
            div_factor=1 / ONE_CYCLE_START,
            final_div_factor=ONE_CYCLE_START / final,
            cycle_momentum=False,
        ),
    )
    assert ours(steps, name="one-cycle", warmup=warmup, final=final) == pytest.approx(theirs)


@given(st.sampled_from(NAMES), st.integers(1, 60), st.floats(0, 0.99), st.integers(1, 9), st.floats(1, 3))
def test_every_schedule_stays_between_nothing_and_the_peak(
    name: str, steps: int, warmup: float, cycles: int, growth: float
) -> None:
    own = {"cycles": cycles, "growth": growth} if name == "warm-restart" else {}
    found = ours(steps, name=name, warmup=warmup, **own)
    assert all(0 < rate <= 1 + 1e-12 for rate in found)
    if round(warmup * steps) < steps:
        assert max(found) == pytest.approx(1) or name == "step"  # all milestones may lie in the warm-up


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_shortest_trainings(steps: int) -> None:
    factors = ours(steps)
    assert all(0 < f <= 1 for f in factors)
    assert factors[0] == 1


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"name": "cosine", "cycles": 4}, "cycles"),
        ({"name": "linear", "growth": 2}, "growth"),
        ({"name": "constant", "final": 0.1}, "final"),
        ({"name": "step", "final": 0.1}, "final"),
        ({"name": "one-cycle", "factor": 0.5}, "factor"),
        ({"name": "warm-restart", "milestones": [0.5]}, "milestones"),
    ],
)
def test_a_field_that_would_do_nothing_is_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=f"'{settings['name']}' makes no use of {field}: leave it at its default"):
        parse(ScheduleRecipe, settings, "schedule")


def test_another_schedule_can_be_chosen_over_the_defaults() -> None:
    for name in NAMES:
        assert override(ScheduleRecipe(), {"name": name}).name == name
