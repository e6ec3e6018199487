"""The winner's curse against a simulation and exact order statistics; what fresh seeds leave."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ablab.errors import ConfigError
from ablab.stats import judge
from ablab.stats.winner import Confirmation, expected_bias


def test_the_best_of_six_useless_changes_over_three_seeds() -> None:
    assert expected_bias(6, 3) == pytest.approx(0.73, abs=0.005)
    scores = np.random.default_rng(3).standard_normal((40_000, 7, 3)).mean(axis=2)
    measured = (scores[:, 1:] - scores[:, :1]).max(axis=1).mean()
    assert measured == pytest.approx(expected_bias(6, 3), abs=0.015)


@pytest.mark.parametrize(
    ("arms", "exact"), [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (10, 1.53875)]
)
def test_expected_largest_of_normals(arms: int, exact: float) -> None:
    """Closed forms for two and three; ten from Teichroew's table of normal order statistics (1956)."""
    assert expected_bias(arms, 1) == pytest.approx(exact, abs=1e-5)
    assert expected_bias(arms, 4) == pytest.approx(exact / 2, abs=1e-5)


@pytest.mark.parametrize(("arms", "n"), [(0, 3), (3, 0)])
def test_no_arm_or_no_seed_is_refused(arms: int, n: int) -> None:
    with pytest.raises(ConfigError, match="one arm and one seed"):
        expected_bias(arms, n)


def test_what_fresh_seeds_leave() -> None:
    def of(effects: list[float]) -> dict[str, dict[int, float]]:
        return {"baseline": dict.fromkeys(range(len(effects)), 0.5), "a": {s: 0.5 + d for s, d in enumerate(effects)}}

    [study], [fresh] = (
        judge(of(d), "baseline", smallest_interesting=0.01) for d in ([0.03, 0.05, 0.04], [0.01, 0.02, 0.03])
    )
    found = Confirmation(fresh, study)
    assert (found.shrinkage, found.kept) == pytest.approx((0.02, 0.5))
    row = found.as_dict()
    assert (row["arm"], row["study_effect"], row["shrinkage"]) == ("a", pytest.approx(0.04), pytest.approx(0.02))
    unknown = Confirmation(fresh).as_dict()
    assert (unknown["study_effect"], unknown["shrinkage"], unknown["kept"]) == (None, None, None)
