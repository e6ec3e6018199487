import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ablab.stats import noise_floor


def test_hand_computed():
    floor = noise_floor([0.50, 0.52, 0.54])  # sd 0.02; t(2): 0.8165 at one half, 4.3027 at 0.975
    assert floor.n == 3
    assert floor.sd == pytest.approx(0.02)
    assert floor.typical == pytest.approx(math.sqrt(2) * 0.02 * 0.816497, rel=1e-5)
    assert floor.large == pytest.approx(math.sqrt(2) * 0.02 * 4.302653, rel=1e-5)
    assert (floor.low, floor.high) == pytest.approx(  # chi squared(2): -2 ln(tail)
        (0.02 * math.sqrt(2 / (-2 * math.log(0.025))), 0.02 * math.sqrt(2 / (-2 * math.log(0.975))))
    )


def test_with_many_runs_it_is_the_repeatability_limit():
    scores = scipy_stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    floor = noise_floor(scores)
    assert floor.large == pytest.approx(2.77, abs=0.01)  # ISO 5725-6: 2.8 sd
    assert floor.typical == pytest.approx(0.954, abs=0.003)  # 0.6745 * sqrt(2)


@pytest.mark.parametrize("n", [3, 8])
def test_two_new_runs_differ_by_more_as_often_as_said(n):
    rng = np.random.default_rng(n)
    runs = rng.normal(size=(4000, n + 2))
    apart = np.abs(runs[:, n] - runs[:, n + 1])
    floors = [noise_floor(row[:n]) for row in runs]
    for name, share in (("typical", 0.5), ("large", 0.05)):
        wrong = np.mean(apart > [getattr(floor, name) for floor in floors])
        assert abs(wrong - share) < 3 * math.sqrt(share * (1 - share) / 4000), name


def test_one_run_has_no_spread_and_equal_runs_have_none():
    assert noise_floor([0.5]) is None
    assert noise_floor([]) is None
    assert noise_floor([0.5, 0.5]).large == 0
