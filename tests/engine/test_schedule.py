import pytest

from ablab.engine.schedule import factor
from ablab.recipe import ScheduleRecipe


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


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_shortest_trainings(steps: int) -> None:
    factors = [factor(s, steps, ScheduleRecipe()) for s in range(steps)]
    assert all(0 < f <= 1 for f in factors)
    assert factors[0] == 1
