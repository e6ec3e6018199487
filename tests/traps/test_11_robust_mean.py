"""Trap 11: a robust mean over three values is a plain mean under another name.

ablab reports the plain mean, and every statistic that a handful of seeds cannot carry is withheld until n permits.
"""

import numpy as np
import pytest

from ablab import stats
from ablab.stats import judge


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_the_effect_is_the_mean_and_n_stands_beside_it(n):
    d = np.array([0.01, 0.02, 0.9, -0.01, 0.03, 0.02])[:n]  # one outlier
    base = 0.1 * np.arange(n)
    scores = {"baseline": dict(enumerate(base)), "a": dict(enumerate(base + d))}
    (verdict,) = judge(scores, "baseline", smallest_interesting=0.01)
    assert verdict.effect == pytest.approx(d.mean())
    assert verdict.n == n == len(verdict.differences)
    assert ("screening: n < 5" in verdict.qualifiers) == (n < 5)
    assert np.isfinite(verdict.sd) == np.isfinite(verdict.p) == (n >= 2)
    assert (verdict.pairing is not None) == (n >= 3)
    assert (verdict.p_sign_flip is not None) == (n >= 6)


def test_no_robust_mean_is_offered():
    words = ("robust", "trim", "median", "quartile", "iqm", "winsor", "bootstrap", "percentile")
    assert not [name for name in stats.__all__ if any(word in name.lower() for word in words)]
